package api

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2019, 11, 24, 12, 0, 0, 0, time.UTC)

// fake is a store of a few cells, which a test can make fail or wait.
type fake struct {
	storage.Store // the rest is not asked for

	cells    []storage.Cell
	filters  []storage.Filter
	lists    []click.Ranking
	lineage  click.Lineage
	complete int64
	hold     click.Hold
	err      error
	call     func(context.Context) error // runs inside Count
	row      func(i int) error           // runs before a scan's row
}

func (f *fake) Marks(context.Context) ([]storage.Mark, error) {
	if f.err != nil || f.complete == click.None {
		return nil, f.err
	}
	return []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: f.complete, Closed: f.complete, Hold: f.hold}}, nil
}

func (f *fake) Filters(context.Context) ([]storage.Filter, error) { return f.filters, f.err }

func (f *fake) Rankings(_ context.Context, _ string, from, to int64, _ int) ([]click.Ranking, error) {
	return slices.DeleteFunc(slices.Clone(f.lists), func(l click.Ranking) bool { return l.Start < from || to <= l.Start }), f.err
}

// Copies: every count is kept once.
func (f *fake) Copies(context.Context, int64, int64, func(string, *storage.Cell) error) (bool, error) {
	return false, f.err
}

// Touches and Rollups: nothing is rolled up.
func (f *fake) Touches(context.Context, int64, int64) ([]storage.Touch, error) { return nil, f.err }

func (f *fake) Rollups(context.Context, string, int64, int64) ([]storage.Rollup, error) {
	return nil, f.err
}

func (f *fake) Lineage(_ context.Context, start int64) (click.Lineage, bool, error) {
	return f.lineage, f.lineage.Start == start && f.err == nil, f.err
}

func (f *fake) Count(ctx context.Context, _ string, ad []byte, from, to int64) ([]storage.Cell, error) {
	if f.call != nil {
		if err := f.call(ctx); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(f.cells), func(c storage.Cell) bool {
		return string(c.Ad) != string(ad) || c.Start < from || to <= c.Start
	}), f.err
}

func (f *fake) Scan(_ context.Context, _ string, from, to int64, each func(*storage.Cell) error) error {
	for i := range f.cells {
		if f.row != nil {
			if err := f.row(i); err != nil {
				return err
			}
		}
		if c := &f.cells[i]; from <= c.Start && c.Start < to {
			if err := each(c); err != nil {
				return err
			}
		}
	}
	return f.err
}

func (f *fake) Ads(_ context.Context, _, prefix string, from, to int64, limit int) ([]string, error) {
	var ads []string
	for _, c := range f.cells {
		if strings.HasPrefix(string(c.Ad), prefix) && from <= c.Start && c.Start < to {
			ads = append(ads, string(c.Ad))
		}
	}
	return storage.FirstAds(ads, limit), f.err
}

func (f *fake) Span(context.Context, string) (first, last int64, ok bool, err error) {
	if len(f.cells) == 0 || f.err != nil {
		return 0, 0, false, f.err
	}
	return f.cells[0].Start, f.cells[len(f.cells)-1].Start, true, nil
}

// at is noon and some minutes, in Unix ms.
func at(minutes int) int64 { return noon.Add(time.Duration(minutes) * time.Minute).UnixMilli() }

// stateAt is the state of what has ended at a revision.
func stateAt(revision int64) click.State {
	if revision > 1 {
		return click.Corrected
	}
	return click.Final
}

// someClicks is complete until 11:59.
func someClicks() *fake {
	f := &fake{complete: at(-1), lineage: click.Lineage{
		Start: at(-2), Size: 60_000, State: click.Final, Version: 812, Reducer: 1, Reducers: 2, Shards: []int64{7, 9},
		Sources: []click.Origin{{
			Source: click.Source{Topic: "clicks", ID: click.TopicID{1}, Partition: 3}, Heard: 12, Settled: 10,
			Account: click.Account{Skipped: 1, Received: 9, Marks: 1, Late: 1, Routed: 7},
			Tally:   click.Tally{Counted: 3, Duplicate: 1, Conflict: 1, Crowded: 1, Stale: 1},
		}, {Source: click.Source{Topic: "clicks", Partition: 4}, Account: click.Account{Received: 1, Routed: 1}}},
	}}
	for _, c := range []struct {
		minute int
		ad     string
		count  int64
	}{{-3, "a", 5}, {-3, "b/c d", 2}, {-2, "a", 1}, {-1, `q"uo,te`, 9}, {-1, "tie", 2}} {
		f.cells = append(f.cells, storage.Cell{Ad: []byte(c.ad), Start: at(c.minute), Count: c.count, Revision: int64(c.minute) + 4, State: stateAt(int64(c.minute) + 4)})
	}
	slices.SortFunc(f.cells, func(a, b storage.Cell) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(string(a.Ad), string(b.Ad)))
	})
	return f
}

// makeServer makes a server whose clock stands at noon and 30 seconds.
func makeServer(t *testing.T, c Config, f *fake, ready ...Unready) *Server {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	c.Window = cmp.Or(c.Window, time.Minute)
	status := func() Status { return Status{At: noon, CompleteUntil: Time(f.complete)} }
	s, err := New(c, f, status, func() []Unready { return ready }, func() time.Time { return noon.Add(30 * time.Second) },
		zap.NewNop(), prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a server until the test ends, and returns what ends it sooner.
func run(t *testing.T, s *Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stop
}

func start(t *testing.T, f *fake, ready ...Unready) string {
	t.Helper()
	s := makeServer(t, Config{}, f, ready...)
	run(t, s)
	return s.URL()
}

type reply struct {
	*http.Response
	body string
}

// ask sends one request on a connection of its own.
func ask(t *testing.T, method, url string, change func(*http.Request)) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp, string(b)}
}

func get(t *testing.T, url string) reply {
	t.Helper()
	return ask(t, http.MethodGet, url, nil)
}
