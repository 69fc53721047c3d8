package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed files
var files embed.FS

// Policy is the Content-Security-Policy of the page: its own files and the API beside
// them, no text as HTML or script, no frame around it.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// kinds are the media types of the files, by the end of their name. The machine's
// own tables are not asked: a page must not depend on them.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// File is one file of the page, ready to be sent. It is safe for concurrent use.
type File struct {
	kind, tag    string
	text, zipped []byte
}

// Find makes the files of the page, by the path they are found at.
func Find() map[string]*File {
	entries, err := files.ReadDir("files")
	must(err)
	all := make(map[string]*File, len(entries))
	for _, e := range entries {
		text, err := files.ReadFile("files/" + e.Name())
		must(err)
		kind, ok := kinds[path.Ext(e.Name())]
		if !ok {
			panic("ui: " + e.Name() + " is of no known kind")
		}
		sum := sha256.Sum256(text)
		at := "/ui/" + e.Name()
		if e.Name() == "index.html" {
			at = "/"
		}
		all[at] = &File{kind, base64.RawURLEncoding.EncodeToString(sum[:9]), text, zip(text)}
	}
	return all
}

func zip(text []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	must(err)
	_, err = w.Write(text)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// must panics: what is in the binary is there and can be read, or the build is wrong.
func must(err error) {
	if err != nil {
		panic("ui: " + err.Error())
	}
}

// ServeHTTP sends the file. Browsers keep it, and ask each time whether it is still
// the same: after an upgrade nobody sees a page of two versions.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", Policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-cache")
	h.Add("Vary", "Accept-Encoding")
	h.Set("Content-Type", f.kind)
	body, tag := f.text, f.tag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body, tag = f.zipped, f.tag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+tag+`"`)
	if strings.Contains(r.Header.Get("If-None-Match"), `"`+tag+`"`) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a browser that has gone needs no answer
	}
}
