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
		s, done, err := place.Open(t.Context(), url, usual, s3.Options{Section: "snapshots"})
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

// TestPlain: what other programs read lies where its name says.
func TestPlain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, done, err := place.Open(t.Context(), dir, "", s3.Options{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "hour=07/a", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "hour=07", "a")); err != nil {
		t.Error(err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			asked = r.URL.Path
			return
		}
		fmt.Fprint(w, `<ListBucketResult></ListBucketResult>`)
	}))
	defer server.Close()
	s, done, err = place.Open(t.Context(), "s3://bucket/p", "", s3.Options{Endpoint: server.URL, Region: "r", AccessKey: "k", SecretKey: "s", Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "hour=07/a", nil); err != nil || asked != "/bucket/p/hour=07/a" {
		t.Errorf("put at %s, %v", asked, err)
	}
	if err := done(); err != nil {
		t.Error(err)
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
		_, done, err := place.Open(t.Context(), url, "", s3.Options{Endpoint: server.URL, Region: "r", AccessKey: "k", SecretKey: "s", Section: "snapshots"})
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
		_, _, err := place.Open(t.Context(), url, "", s3.Options{Endpoint: "http://127.0.0.1:1", AccessKey: "k", Section: "snapshots"})
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
