package api

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

// openAPI describes this API (OpenAPI 3.1).
//
//go:embed openapi.yaml
var openAPI []byte

// openAPIJSON is the same as JSON, made once.
var openAPIJSON = sync.OnceValues(func() ([]byte, error) {
	var doc any
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
})

func serveYAML(w http.ResponseWriter, _ *call) error { return writeDocument(w, mediaYAML, openAPI) }

func serveJSON(w http.ResponseWriter, _ *call) error {
	doc, err := openAPIJSON()
	if err != nil {
		return err
	}
	return writeDocument(w, mediaJSON, doc)
}

func writeDocument(w http.ResponseWriter, media string, doc []byte) error {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", askAgain)
	_, err := w.Write(doc)
	return err
}
