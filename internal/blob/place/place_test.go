package place_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/blob/place"
	"github.com/clickagg/clickagg/internal/blob/s3"
)

func TestDirectories(t *testing.T) {
	t.Parallel()
	usual, other := filepath.Join(t.TempDir(), "snapshots"), t.TempDir()
	for url, dir := range map[string]string{"": usual, other: other} {
		s, done, err := place.Open(t.Context(), url, usual, s3.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), "a", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
			t.Error(err)
		}
		if err := done(); err != nil {
			t.Error(err)
		}
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"s3://bucket":         "/bucket/ ",
		"s3://bucket/":        "/bucket/ ",
		"s3://bucket/deep/er": "/bucket/ deep/er/",
		"s3://bucket/deep/":   "/bucket/ deep/",
	} {
		var asked string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Path + " " + r.URL.Query().Get("prefix")
			fmt.Fprint(w, `<ListBucketResult></ListBucketResult>`)
		}))
		_, done, err := place.Open(t.Context(), url, "", s3.Options{Endpoint: server.URL, Region: "r", AccessKey: "k", SecretKey: "s"})
		if err != nil || asked != want {
			t.Errorf("%s: asked for %q, %v", url, asked, err)
		} else if err := done(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for url, words := range map[string]string{
		"gs://bucket":        `"gs://" is no place for snapshots`,
		"s3://bucket//x":     "its prefix",
		"s3://bucket/../x":   "its prefix",
		"s3://bucket/a b":    "its prefix",
		"s3://" + "/" + "pp": "ucket",
	} {
		_, _, err := place.Open(t.Context(), url, "", s3.Options{Endpoint: "http://127.0.0.1:1", AccessKey: "k"})
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
