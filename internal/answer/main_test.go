package answer

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const minute = 60_000

// fake is a store of plain slices: what was put into it is what it answers.
type fake struct {
	storage.Store // the rest is not asked for

	cells    map[int64][]storage.Cell // by window, in the order of their ads
	lists    map[int64]click.Ranking
	rolled   []storage.Rollup // of hours, whose cells and lists are those of the window at their start
	lineages map[int64]click.Lineage
	filters  []storage.Filter
	under    map[string]*fake // what is stored under a filter of these
	copied   []storage.Cell   // what Count is answered from, under all filters; nil when that is not kept apart
	complete int64
	holds    []click.Hold // that the marks have, one time of asking after the other
	err      error
	mu       sync.Mutex
	asked    []string // the calls, in order
}

// note remembers a call.
func (f *fake) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, call)
}

func newFake() *fake {
	return &fake{cells: map[int64][]storage.Cell{}, lists: map[int64]click.Ranking{}, complete: click.None}
}

func (f *fake) put(window int64, ad string, count, revision int64) {
	cells := f.cells[window]
	i, _ := slices.BinarySearchFunc(cells, ad, byAd)
	state := click.Final
	if revision > 1 {
		state = click.Corrected
	}
	f.cells[window] = slices.Insert(cells, i, storage.Cell{Ad: []byte(ad), Start: window, Count: count, Revision: revision, State: state})
}

func byAd(c storage.Cell, ad string) int { return cmp.Compare(string(c.Ad), ad) }

// within returns the windows of a map that start in [from, to), in order.
func within[V any](m map[int64]V, from, to int64) []int64 {
	windows := slices.Sorted(maps.Keys(m))
	return slices.DeleteFunc(windows, func(w int64) bool { return w < from || to <= w })
}

// rank makes the window's list of the best k ads.
func (f *fake) rank(window int64, k int, state click.State) {
	l := click.Ranking{Start: window, Size: minute, State: state, Ads: int64(len(f.cells[window]))}
	for _, c := range f.cells[window] {
		l.Top = append(l.Top, click.Row{Ad: c.Ad, Count: c.Count})
		l.Clicks += c.Count
		l.Revision = max(l.Revision, c.Revision)
	}
	slices.SortFunc(l.Top, rank.Order)
	l.Top = l.Top[:min(k, len(l.Top))]
	f.lists[window] = l
}

func (f *fake) Copies(_ context.Context, from, to int64, each func(string, *storage.Cell) error) (bool, error) {
	for i := range f.copied {
		if c := &f.copied[i]; c.Start >= from && c.Start < to {
			if err := each(click.FilterAll, c); err != nil {
				return true, err
			}
		}
	}
	return f.copied != nil, f.err
}

func (f *fake) Counted(context.Context) ([]string, error) { return []string{click.FilterAll}, f.err }

func (f *fake) Touches(context.Context, int64, int64) ([]storage.Touch, error) { return nil, f.err }

func (f *fake) Rollups(_ context.Context, series string, _, _ int64) ([]storage.Rollup, error) {
	if series != storage.Hour.Series(click.FilterAll) {
		return nil, f.err
	}
	return f.rolled, f.err
}

func (f *fake) Marks(context.Context) ([]storage.Mark, error) {
	f.note("marks")
	if f.err != nil || f.complete == click.None {
		return nil, f.err
	}
	m := storage.Mark{Partitions: 1, Reducers: 1, Watermark: f.complete, Closed: f.complete}
	if len(f.holds) > 0 {
		m.Hold, f.holds = f.holds[0], f.holds[1:]
	}
	return []storage.Mark{m}, nil
}

func (f *fake) Count(_ context.Context, _ string, ad []byte, from, to int64) ([]storage.Cell, error) {
	f.note("count")
	var cells []storage.Cell
	for _, w := range within(f.cells, from, to) {
		if i, ok := slices.BinarySearchFunc(f.cells[w], string(ad), byAd); ok {
			cells = append(cells, f.cells[w][i])
		}
	}
	return cells, f.err
}

func (f *fake) Filters(context.Context) ([]storage.Filter, error) { return f.filters, f.err }

func (f *fake) Scan(_ context.Context, filter string, from, to int64, each func(*storage.Cell) error) error {
	f.note("scan")
	if u := f.under[filter]; u != nil {
		f = u
	}
	for _, w := range within(f.cells, from, to) {
		for i := range f.cells[w] {
			if err := each(&f.cells[w][i]); err != nil {
				return err
			}
		}
	}
	return f.err
}

func (f *fake) Rankings(_ context.Context, filter string, from, to int64, most int) ([]click.Ranking, error) {
	f.note("rankings")
	if u := f.under[filter]; u != nil {
		f = u
	}
	var lists []click.Ranking
	for _, w := range within(f.lists, from, to) {
		l := f.lists[w]
		l.Top = l.Top[:min(most, len(l.Top))]
		lists = append(lists, l)
	}
	return lists, f.err
}

func (f *fake) Span(context.Context, string) (first, last int64, ok bool, err error) {
	windows := slices.Sorted(maps.Keys(f.cells))
	if len(windows) == 0 || f.err != nil {
		return 0, 0, false, f.err
	}
	return windows[0], windows[len(windows)-1], true, nil
}

func (f *fake) Ads(_ context.Context, _, prefix string, from, to int64, limit int) ([]string, error) {
	f.note("ads")
	var ads []string
	for _, w := range within(f.cells, from, to) {
		for _, c := range f.cells[w] {
			if strings.HasPrefix(string(c.Ad), prefix) {
				ads = append(ads, string(c.Ad))
			}
		}
	}
	return storage.FirstAds(ads, limit), f.err
}

func (f *fake) Lineage(_ context.Context, start int64) (click.Lineage, bool, error) {
	l, ok := f.lineages[start]
	return l, ok, f.err
}
