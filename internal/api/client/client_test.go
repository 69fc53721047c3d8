package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2019, 11, 24, 12, 0, 0, 0, time.UTC)

// fake holds one window: 11:59, in which each ad has as many clicks as its id has bytes.
type fake struct {
	storage.Store
	ads []string // in order
	err error    // what scans end with
}

func (f *fake) Marks(context.Context) ([]storage.Mark, error) {
	return []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: noon.UnixMilli()}}, nil
}

func (f *fake) Rankings(context.Context, string, int64, int64, int) ([]click.Ranking, error) {
	return nil, nil
}

// Touches and Rollups: nothing is rolled up.
func (f *fake) Touches(context.Context, int64, int64) ([]storage.Touch, error) { return nil, nil }

func (f *fake) Rollups(context.Context, string, int64, int64) ([]storage.Rollup, error) {
	return nil, nil
}

func (f *fake) Lineage(_ context.Context, start int64) (click.Lineage, bool, error) {
	l := click.Lineage{Start: start, Size: 60_000, State: click.Final, Reducers: 1, Shards: []int64{7}}
	return l, start < noon.UnixMilli(), nil
}

func (f *fake) Span(context.Context, string) (first, last int64, ok bool, err error) {
	at := noon.Add(-time.Minute).UnixMilli()
	return at, at, true, nil
}

func (f *fake) Scan(_ context.Context, _ string, from, to int64, each func(*storage.Cell) error) error {
	at := noon.Add(-time.Minute).UnixMilli()
	for _, ad := range f.ads {
		if from <= at && at < to {
			if err := each(&storage.Cell{Ad: []byte(ad), Start: at, Count: int64(len(ad)), Revision: 1}); err != nil {
				return err
			}
		}
	}
	return f.err
}

func (f *fake) Count(ctx context.Context, filter string, ad []byte, from, to int64) (cells []storage.Cell, err error) {
	err = f.Scan(ctx, filter, from, to, func(c *storage.Cell) error {
		if string(c.Ad) == string(ad) {
			cells = append(cells, *c)
		}
		return nil
	})
	return cells, err
}

// dial starts an API over the store and returns a client of it.
func dial(t *testing.T, f *fake) *Client {
	t.Helper()
	s, err := api.New(api.Config{Listen: "127.0.0.1:0", Window: time.Minute}, f,
		func() api.Status { return api.Status{At: noon, Rejected: map[string]int64{"malformed": 3}} },
		func() []api.Unready { return []api.Unready{{Part: "reducer", Reason: "restoring"}} },
		func() time.Time { return noon }, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c := must(New(s.URL()))
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	ads := []string{".", "..", "a b", "a+b", "a/b", "a%2Fb", "a?b=c&d#e", "é😀", "top_clicked_ads", `"quoted",x`, strings.Repeat("x", 128)}
	c := dial(t, &fake{ads: ads})
	for _, ad := range ads {
		got, err := c.Count(t.Context(), ad, Range{Last: "1m"})
		if err != nil || got.AdID != ad || got.Count != int64(len(ad)) || got.Status != api.Final || !got.ToTime.Equal(noon) {
			t.Errorf("%q: %+v, %v", ad, got, err)
		}
	}
	top, err := c.Top(t.Context(), 2, Range{From: "2019-11-24T12:00:00+01:00", To: "now", Filter: "000"})
	if err != nil || len(top.Ads) != 2 || top.AdIDs[0] != ads[10] || top.Ads[1] != (api.AdCount{AdID: "top_clicked_ads", Count: 15}) || !top.Exact {
		t.Errorf("%+v, %v", top, err)
	}
	if all, err := c.Top(t.Context(), 0, Range{}); err != nil || len(all.Ads) != 10 {
		t.Errorf("%+v, %v", all, err)
	}
	if s, err := c.Status(t.Context()); err != nil || !s.At.Equal(noon) || s.Rejected["malformed"] != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if l, err := c.Lineage(t.Context(), "-1s"); err != nil || !l.ToTime.Equal(noon) || l.Shards[0].Position != 7 || !l.Holds {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := c.Lineage(t.Context(), "now"); err == nil || !strings.Contains(err.Error(), "not final yet") {
		t.Errorf("of a minute that is open: %v", err)
	}
	if r, err := c.Ready(t.Context()); err != nil || r.Ready || r.NotReady[0].Part != "reducer" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	c := dial(t, &fake{ads: []string{"a", "bc"}})
	for format, want := range map[string]string{
		"":     "ad_id,minute,count\na,2019-11-24T11:59:00Z,1\nbc,2019-11-24T11:59:00Z,2\n",
		"json": `{"ad_id":"a","minute":"2019-11-24T11:59:00Z","count":1}` + "\n" + `{"ad_id":"bc","minute":"2019-11-24T11:59:00Z","count":2}` + "\n",
	} {
		e, err := c.Export(t.Context(), ExportRange{From: "-1m", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(e)
		if err != nil || string(got) != want || e.Status != api.Final || !e.CompleteUntil.Equal(noon) {
			t.Errorf("%s, %+v, %v", got, e, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestExportThatBreaksOff(t *testing.T) {
	t.Parallel()
	f := &fake{err: errors.New("scan")}
	for i := range 10_000 {
		f.ads = append(f.ads, fmt.Sprintf("ad%05d", i))
	}
	e, err := dial(t, f).Export(t.Context(), ExportRange{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := io.Copy(io.Discard, e); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("got %v", err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	c := dial(t, &fake{err: storage.ErrUnavailable})
	_, err := c.Count(t.Context(), "a", Range{Last: "1m", To: "now"})
	if r, ok := errors.AsType[*Refused](err); !ok || r.Problem.Status != 400 || r.Problem.Parameter != "last" || err.Error() != r.Problem.Detail {
		t.Errorf("got %v", err)
	}
	_, countErr := c.Count(t.Context(), "a", Range{})
	_, exportErr := c.Export(t.Context(), ExportRange{})
	for _, err := range []error{countErr, exportErr} {
		r, ok := errors.AsType[*Refused](err)
		if !ok || r.Problem.Status != 503 || r.RetryAfter != 5*time.Second || !strings.Contains(err.Error(), r.Problem.RequestID) {
			t.Errorf("got %v", err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + l.Addr().String()
	_ = l.Close()
	c := must(New(at))
	_, countErr := c.Count(t.Context(), "a", Range{})
	_, exportErr := c.Export(t.Context(), ExportRange{})
	want := "cannot reach the API at " + at + ": connection refused; is `clickagg run` running? set --api.url"
	for _, err := range []error{countErr, exportErr} {
		if !errors.Is(err, ErrUnreachable) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestSomethingElseAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"a page":        func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello") },
		"a redirect":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"an error page": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) },
		"a problem without words": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(answer)
			defer s.Close()
			c := must(New(s.URL))
			defer c.Close()
			_, countErr := c.Count(t.Context(), "a", Range{})
			_, exportErr := c.Export(t.Context(), ExportRange{})
			for _, err := range []error{countErr, exportErr} {
				if err == nil || !strings.Contains(err.Error(), "is not clickagg's API") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	c := dial(t, &fake{ads: []string{"a"}})
	ctx, cancel := context.WithCancel(t.Context())
	e, err := c.Export(ctx, ExportRange{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cancel()
	_, countErr := c.Count(ctx, "a", Range{})
	if !errors.Is(countErr, context.Canceled) || errors.Is(countErr, ErrUnreachable) {
		t.Errorf("got %v", countErr)
	}
}

// An API that accepts and then says nothing is given up, in the middle of an
// export too.
func TestQuietAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := must(New("http://quiet"))
		defer c.Close()
		begin := "HTTP/1.1 200 OK\r\n" + api.HeaderStatus + ": final\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
		transport := c.http.Transport.(*http.Transport)
		transport.Proxy = nil
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				request := make([]byte, 4096)
				n, _ := far.Read(request)
				if strings.Contains(string(request[:n]), "export") {
					_, _ = io.WriteString(far, begin)
				}
				_, _ = io.Copy(io.Discard, far) // until the client hangs up
			}()
			return near, nil
		}
		start := time.Now()
		_, countErr := c.Count(t.Context(), "a", Range{})
		if !errors.Is(countErr, ErrUnreachable) || !strings.Contains(countErr.Error(), "did not answer in time") || time.Since(start) != quietTimeout {
			t.Errorf("after %v: %v", time.Since(start), countErr)
		}
		e, err := c.Export(t.Context(), ExportRange{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * quietTimeout) // it is the API that must not be quiet, not the reader
		got := make([]byte, 1)
		if _, err := io.ReadFull(e, got); err != nil || string(got) != "a" {
			t.Errorf("got %q, %v", got, err)
		}
		time.Sleep(2 * quietTimeout)
		start = time.Now()
		got, err = io.ReadAll(e)
		if len(got) != 0 || !errors.Is(err, ErrUnreachable) || time.Since(start) != quietTimeout {
			t.Errorf("after %v: %q, %v", time.Since(start), got, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"http://127.0.0.1:8080": "http://127.0.0.1:8080", "https://api.example/clicks/": "https://api.example/clicks",
		"127.0.0.1:8080": "http://127.0.0.1:8080", "localhost": "http://localhost", "[::1]:8080": "http://[::1]:8080",
		"": "", "ftp://x": "", "http://": "", "http://a b": "", "http://x?y=1": "", ":8080": "http://:8080",
	} {
		c, err := New(at)
		if (err != nil) != (want == "") || err == nil && c.base.String() != want {
			t.Errorf("%q: got %+v, %v; want %q", at, c, err, want)
		}
	}
}

func TestBasePath(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- cmp.Or(r.URL.RawPath, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	defer s.Close()
	c := must(New(s.URL + "/behind%2Fa/proxy/"))
	defer c.Close()
	if _, err := c.Count(t.Context(), "x/y", Range{}); err != nil {
		t.Fatal(err)
	}
	if got := <-paths; got != "/behind%2Fa/proxy/v1/ads/x%2Fy/aggregated_count" {
		t.Errorf("asked for %s", got)
	}
}

// A client that shows a token shows it with every question, over TLS that it was told
// to trust; who is not known is told where tokens go.
func TestAs(t *testing.T) {
	t.Parallel()
	shown := make(chan string, 10)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- r.Header.Get("Authorization")
		if r.URL.Path == "/readyz" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"ready":true}`)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"detail":"no","status":401}`)
	}))
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	plain := must(New(s.URL))
	defer plain.Close()
	if _, err := plain.Ready(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "set ca_file") {
		t.Errorf("of a server nobody vouches for: %v", err)
	}
	c := plain.As("clickagg_X", s.Client().Transport.(*http.Transport).TLSClientConfig.Clone())
	defer c.Close()
	if r, err := c.Ready(t.Context()); err != nil || !r.Ready || <-shown != "Bearer clickagg_X" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "CLICKAGG_API_CLIENT_TOKEN") || strings.Contains(err.Error(), "clickagg_X") {
		t.Errorf("refused: %v", err)
	}
	if _, err := c.Export(t.Context(), ExportRange{}); err == nil || !strings.Contains(err.Error(), "CLICKAGG_API_CLIENT_TOKEN") {
		t.Errorf("an export: %v", err)
	}
}
