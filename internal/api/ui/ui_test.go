package ui

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, f *File, method string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	reference = regexp.MustCompile(`(?:src|href)="([^"#]+)"|(?:from|import) "\./([^"]+)"`)
	foreign   = regexp.MustCompile(`(?:https?:)?//[a-z0-9-]+\.[a-z]+`)
	inline    = regexp.MustCompile(`(?i)<style|\bstyle="|\bon[a-z]+="|<script>|javascript:|innerHTML|insertAdjacentHTML|document\.write|\beval\(`)
)

// Each file that a file names is there, nothing is elsewhere, and nothing is written
// that the policy would refuse.
func TestFilesAreWhole(t *testing.T) {
	t.Parallel()
	all := Find()
	sent, used := 0, map[string]bool{"/": true}
	for at, f := range all {
		text := string(f.text)
		if found := inline.FindString(text); found != "" {
			t.Errorf("%s holds %s, which the policy refuses", at, found)
		}
		if found := foreign.FindString(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")); found != "" {
			t.Errorf("%s names another host: %s", at, found)
		}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			to := m[1]
			if m[2] != "" {
				to = "/ui/" + m[2]
			}
			if all[to] == nil && !strings.HasPrefix(to, "/v1/") {
				t.Errorf("%s names %s, which is not there", at, to)
			}
			used[to] = true
		}
		sent += len(f.zipped)
	}
	for at := range all {
		if !used[at] {
			t.Errorf("no file names %s", at)
		}
	}
	const most = 40_000
	if sent > most {
		t.Errorf("the page takes %d bytes on the wire; %d are allowed", sent, most)
	}
}

func TestFileIsSent(t *testing.T) {
	t.Parallel()
	f := Find()["/"]
	plain := get(t, f, http.MethodGet)
	if got := body(t, plain.Body); got != string(f.text) || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("%d bytes, encoded as %q", len(got), plain.Header.Get("Content-Encoding"))
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": Policy, "Cache-Control": "no-cache", "Vary": "Accept-Encoding",
	} {
		if got := plain.Header.Get(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	zipped := get(t, f, http.MethodGet, "Accept-Encoding", "br, gzip")
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, z); got != string(f.text) || zipped.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, encoded as %q", len(got), zipped.Header.Get("Content-Encoding"))
	}
	if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
		t.Error("two forms of a file have one tag")
	}
	again := get(t, f, http.MethodGet, "Accept-Encoding", "gzip", "If-None-Match", zipped.Header.Get("ETag"))
	if got := body(t, again.Body); again.StatusCode != http.StatusNotModified || got != "" {
		t.Errorf("what the browser has is sent again: status %d, %d bytes", again.StatusCode, len(got))
	}
	if other := get(t, f, http.MethodGet, "If-None-Match", zipped.Header.Get("ETag")); other.StatusCode != http.StatusOK {
		t.Errorf("a form that the browser lacks: status %d", other.StatusCode)
	}
	head := get(t, f, http.MethodHead)
	if got := body(t, head.Body); got != "" || head.Header.Get("Content-Length") != plain.Header.Get("Content-Length") {
		t.Errorf("HEAD: %d bytes, said to be %s", len(got), head.Header.Get("Content-Length"))
	}
}
