package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/storage"
)

const allCSV = `ad_id,minute,count
a,2019-11-24T11:57:00Z,5
b/c d,2019-11-24T11:57:00Z,2
a,2019-11-24T11:58:00Z,1
"q""uo,te",2019-11-24T11:59:00Z,9
tie,2019-11-24T11:59:00Z,2
`

const lastJSON = `{"ad_id":"q\"uo,te","minute":"2019-11-24T11:59:00Z","count":9}
{"ad_id":"tie","minute":"2019-11-24T11:59:00Z","count":2}
`

func TestExport(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	const head = "ad_id,minute,count\n"
	for _, test := range []struct{ query, accept, want, media, status string }{
		{"", "", allCSV, "text/csv", Provisional},
		{"?format=csv&filter_identifier=000", "application/json", allCSV, "text/csv", Provisional},
		{"?from=2019-11-24T11:59:59Z", "application/x-ndjson", lastJSON, "application/x-ndjson", Provisional},
		{"?from=-1m&format=json", "", lastJSON, "application/x-ndjson", Provisional},
		{"?from=-1m", "text/html, Application/JSON;q=0.9", lastJSON, "application/x-ndjson", Provisional},
		{"?from=-1m&to=now", "text/csv, application/json", head + allCSV[strings.Index(allCSV, `"q`):], "text/csv", Provisional},
		{"?from=2019-11-24T11:58:00Z&to=2019-11-24T11:59:00Z", "", head + "a,2019-11-24T11:58:00Z,1\n", "text/csv", Final},
		{"?to=2019-11-24T11:58:00Z", "", allCSV[:strings.Index(allCSV, "a,2019-11-24T11:58")], "text/csv", Final},
		{"?to=2019-11-20T00:00:00Z", "", head, "text/csv", Final},
		{"?from=2019-11-24T12:00:00Z", "", head, "text/csv", Provisional},
		{"?from=2001-01-01T00:00:00Z&to=now", "", allCSV, "text/csv", Provisional},
	} {
		t.Run(test.query+test.accept, func(t *testing.T) {
			t.Parallel()
			r := ask(t, http.MethodGet, at+"/v1/export/counts"+test.query, func(r *http.Request) { r.Header.Set("Accept", test.accept) })
			if r.StatusCode != 200 || r.body != test.want {
				t.Errorf("HTTP %d\n got %s\nwant %s", r.StatusCode, r.body, test.want)
			}
			if media := r.Header.Get("Content-Type"); !strings.HasPrefix(media, test.media) {
				t.Errorf("Content-Type is %q", media)
			}
			if got := r.Header.Get(HeaderStatus) + " " + r.Header.Get(HeaderCompleteUntil); got != test.status+" 2019-11-24T11:59:00Z" {
				t.Errorf("it says %s, want %s", got, test.status)
			}
			checkSafe(t, r)
		})
	}
	if r := ask(t, http.MethodHead, at+"/v1/export/counts", nil); r.StatusCode != 200 || r.body != "" || r.Header.Get(HeaderStatus) != Provisional {
		t.Errorf("HEAD: %s %q %q", r.Status, r.body, r.Header.Get(HeaderStatus))
	}
}

func TestExportOfNothing(t *testing.T) {
	t.Parallel()
	at := start(t, &fake{complete: at(0)})
	if r := get(t, at+"/v1/export/counts"); r.StatusCode != 200 || r.body != "ad_id,minute,count\n" {
		t.Errorf("%s %q", r.Status, r.body)
	}
	if r := get(t, at+"/v1/export/counts?format=json"); r.StatusCode != 200 || r.body != "" {
		t.Errorf("%s %q", r.Status, r.body)
	}
}

// manyClicks takes several of the export's buffers.
func manyClicks() *fake {
	f := &fake{complete: at(0)}
	for i := range 20_000 {
		f.cells = append(f.cells, storage.Cell{Ad: fmt.Appendf(nil, "ad-%05d", i), Start: at(-10 + i/4000), Count: int64(i + 1), Revision: 1})
	}
	return f
}

// An export that fails must not look whole, wherever it fails.
func TestExportBreaksOff(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func() error{
		"error": func() error { return fmt.Errorf("scan: %w", storage.ErrUnavailable) },
		"panic": func() error { panic("defect") },
	} {
		for _, row := range []int{10, 15_000} {
			t.Run(fmt.Sprintf("%s at row %d", name, row), func(t *testing.T) {
				t.Parallel()
				f := manyClicks()
				f.row = func(i int) error {
					if i == row {
						return fault()
					}
					return nil
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, start(t, f)+"/v1/export/counts", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				r.Close = true
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
				if row == 10 && (resp.StatusCode < 500 || err != nil) {
					t.Errorf("before its first row: %s, %v", resp.Status, err)
				}
				if row != 10 && (resp.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Errorf("in the middle: %s, %v", resp.Status, err)
				}
			})
		}
	}
}

// A reader that goes away ends the scan.
func TestExportEndsWithItsReader(t *testing.T) {
	t.Parallel()
	endless := &endless{fake: manyClicks(), ended: make(chan error, 1)}
	s := makeServer(t, Config{}, endless.fake)
	s.answers = answer.New(endless, time.Minute)
	run(t, s)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/v1/export/counts", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := <-endless.ended; err == nil {
		t.Error("the scan ended without an error")
	}
}

// endless is a store whose scans only end with their reader.
type endless struct {
	*fake
	ended chan error
}

func (e *endless) Scan(ctx context.Context, filter string, from, to int64, each func(*storage.Cell) error) error {
	for {
		if err := e.fake.Scan(ctx, filter, from, to, each); err != nil {
			e.ended <- err
			return err
		}
	}
}
