package api

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/storage"
)

// What is final is kept for a tenth of its age, and what may change is asked for again.
func TestKeeping(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	const old = "start_time=2019-11-24T00:00:00Z&to_time=2019-11-24T10:00:30Z" // ended two hours and 30 seconds ago
	for path, want := range map[string]string{
		count + "?" + old:                "private, max-age=723",
		top + "?" + old:                  "private, max-age=723",
		counts + "?ad_id=a&" + old:       "private, max-age=723",
		count + "?granularity=1h&" + old: "private, max-age=723",
		count + "?start_time=2019-11-01T00:00:00Z&to_time=1573000000":           "private, max-age=86400",
		count + "?start_time=2019-11-24T11:00:00Z&to_time=2019-11-24T12:00:00Z": askAgain, // not final
		count + "?start_time=-2h&to_time=2019-11-24T11:00:00Z":                  askAgain, // its beginning moves
		count + "?start_time=2019-11-24T00:00:00Z&to_time=now-2h":               askAgain,
		count + "?to_time=2019-11-24T11:00:00Z":                                 askAgain,
		"/v1/ads":                                                               askAgain,
		"/v1/filters":                                                           askAgain,
		"/v1/minutes/2019-11-24T11:58:00Z":                                      askAgain,
		lineage + "?start_time=2019-11-24T11:58:00Z":                            askAgain,
		"/v1/status": "no-store",
		"/livez":     "no-store",
		export:       "no-store",
	} {
		r := get(t, at+path)
		if got := r.Header.Get("Cache-Control"); r.StatusCode != 200 || got != want {
			t.Errorf("%s: HTTP %d, Cache-Control %q, want %q", path, r.StatusCode, got, want)
		}
		if tagged := r.Header.Get("ETag") != ""; tagged != (want != "no-store") {
			t.Errorf("%s: ETag %q", path, r.Header.Get("ETag"))
		}
	}
}

// Who has the answer is told so, until something else than the time changes.
func TestIfNoneMatch(t *testing.T) {
	t.Parallel()
	f := someClicks()
	s := makeServer(t, Config{}, f)
	run(t, s)
	asks := func(path, tags string) reply {
		return ask(t, http.MethodGet, s.URL()+path, func(r *http.Request) { r.Header.Set("If-None-Match", tags) })
	}
	for _, q := range []string{count + "?", count + "?granularity=1m&", top + "?", counts + "?ad_id=a&", "/v1/minutes/2019-11-24T11:58:00Z?"} {
		path := strings.TrimSuffix(q+"start_time=2019-11-24T11:50:00Z&to_time=2019-11-24T11:59:00Z", "&")
		if strings.HasPrefix(path, "/v1/minutes") {
			path = strings.TrimSuffix(q, "?")
		}
		f.complete = at(-1)
		tag := get(t, s.URL()+path).Header.Get("ETag")
		f.complete = at(5)
		for _, tags := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
			if r := asks(path, tags); r.StatusCode != 304 || r.body != "" || r.Header.Get("ETag") != tag || r.Header.Get("Cache-Control") == "no-store" {
				t.Errorf("%s with %s: HTTP %d %s, ETag %s", path, tags, r.StatusCode, r.body, r.Header.Get("ETag"))
			}
		}
		if r := asks(path, `"x"`); r.StatusCode != 200 || r.body == "" {
			t.Errorf("%s with another tag: HTTP %d", path, r.StatusCode)
		}
	}
	path := count + "?start_time=2019-11-24T11:50:00Z&to_time=2019-11-24T11:59:00Z"
	tag := get(t, s.URL()+path).Header.Get("ETag")
	f.cells = append([]storage.Cell{}, f.cells...)
	f.cells[0].Revision += 2 // of the same count
	if r := asks(path, tag); r.StatusCode != 200 || r.Header.Get("ETag") == tag {
		t.Errorf("a higher revision: HTTP %d", r.StatusCode)
	}
	f.complete = at(-5)
	if r := asks(path, tag); r.StatusCode != 200 || !strings.Contains(r.body, Provisional) {
		t.Errorf("not final any more: HTTP %d %s", r.StatusCode, r.body)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	for _, test := range []struct {
		path, accept string
		status       int
	}{
		{count, "", 200},
		{count, "*/*", 200},
		{count, "text/html, application/*;q=0.1", 200},
		{count, "application/json; charset=utf-8", 200},
		{count, "text/html,application/xhtml+xml,*/*;q=0.8", 200},
		{count, "text/html", 406},
		{count, "application/json;q=0, text/*", 406},
		{count, ";;", 406},
		{export, "text/csv", 200},
		{export, "application/x-ndjson", 200},
		{export, "image/png", 406},
		{"/v1/stream", "application/json", 406},
	} {
		r := ask(t, http.MethodGet, at+test.path, func(r *http.Request) { r.Header.Set("Accept", test.accept) })
		if r.StatusCode != test.status {
			t.Errorf("%s accepting %q: HTTP %d %s", test.path, test.accept, r.StatusCode, r.body)
		}
		if test.status == 406 {
			checkProblem(t, r, 406, "not_acceptable")
		}
	}
}

// Large answers are compressed for who takes gzip, whoever else asks the same.
func TestGzip(t *testing.T) {
	t.Parallel()
	f := someClicks()
	for i := range 1000 {
		f.cells = append(f.cells, storage.Cell{Ad: fmt.Append(nil, "many-", i), Start: at(-1), Count: 1, Revision: 1})
	}
	base := start(t, f)
	for _, path := range []string{top + "?n=1000", export} {
		plain := ask(t, http.MethodGet, base+path, func(r *http.Request) { r.Header.Set("Accept-Encoding", "identity") })
		packed := ask(t, http.MethodGet, base+path, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip, zstd") })
		z, err := gzip.NewReader(strings.NewReader(packed.body))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		text, err := io.ReadAll(z)
		if err != nil || string(text) != plain.body || len(packed.body) > len(text)/2 || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %d bytes of %d, %v, %v", path, len(packed.body), len(text), packed.Header, err)
		}
		for _, r := range []reply{plain, packed} {
			if !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Accept-Encoding") || r.Header.Get("ETag") != plain.Header.Get("ETag") {
				t.Errorf("%s: %v", path, r.Header)
			}
		}
	}
	small := ask(t, http.MethodGet, base+count, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
	if small.Header.Get("Content-Encoding") != "" || !strings.HasPrefix(small.body, "{") {
		t.Errorf("a small answer: %v", small.Header)
	}
}

// An export that fails in the middle is cut off when it is compressed as well.
func TestGzipIsCutOff(t *testing.T) {
	t.Parallel()
	f := manyClicks()
	f.row = func(i int) error {
		if i == 19_000 {
			return storage.ErrUnavailable
		}
		return nil
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, start(t, f)+export, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req) // which asks for gzip
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || !resp.Uncompressed {
		t.Errorf("%d bytes of an export that failed came as if they were all of it", n)
	}
}

// The clock of an answer that is kept is the server's.
func TestKeepFor(t *testing.T) {
	t.Parallel()
	frame := Frame{Status: Final, ToTime: noon}
	for age, want := range map[time.Duration]string{
		9 * time.Second: askAgain, 10 * time.Second: "private, max-age=1", -time.Minute: askAgain, 100 * 24 * time.Hour: "private, max-age=86400",
	} {
		if got := keepFor(&frame, &asked{fixed: true}, noon.Add(age)); got != want {
			t.Errorf("%v: %s, want %s", age, got, want)
		}
	}
}
