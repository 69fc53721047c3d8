package storagetest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// size of every window the tests use, ms.
const size = 60_000

type cellKey struct {
	filter, ad string
	start      int64
}

type listKey struct {
	filter string
	start  int64
}

// model is the store as one would explain it: maps in which the greatest version
// replaces what was there.
type model struct {
	cells map[cellKey]click.Result
	lists map[listKey]click.Ranking
}

func newModel() *model {
	return &model{cells: map[cellKey]click.Result{}, lists: map[listKey]click.Ranking{}}
}

func (m *model) apply(b *storage.Batch) {
	for _, r := range b.Results {
		k := cellKey{r.Filter, string(r.Ad), r.Start}
		if old, ok := m.cells[k]; !ok || r.Version > old.Version {
			m.cells[k] = r
		}
	}
	for _, r := range b.Rankings {
		k := listKey{r.Filter, r.Start}
		if old, ok := m.lists[k]; !ok || r.Version > old.Version {
			m.lists[k] = r
		}
	}
}

// scan lists the cells with a click, of one ad if ad is not nil.
func (m *model) scan(filter string, ad []byte, from, to int64) []storage.Cell {
	var out []storage.Cell
	for k, r := range m.cells {
		if k.filter == filter && k.start >= from && k.start < to && r.Count > 0 && (ad == nil || k.ad == string(ad)) {
			out = append(out, cellOf(&r))
		}
	}
	slices.SortFunc(out, func(a, b storage.Cell) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), bytes.Compare(a.Ad, b.Ad))
	})
	return out
}

func (m *model) rankings(filter string, from, to int64) []click.Ranking {
	var out []click.Ranking
	for k, r := range m.lists {
		if k.filter == filter && k.start >= from && k.start < to {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b click.Ranking) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

func cellOf(r *click.Result) storage.Cell {
	return storage.Cell{Ad: r.Ad, Start: r.Start, Count: r.Count, Digest: r.Digest, Revision: r.Revision, State: r.State, Version: r.Version}
}

func sameCell(a, b storage.Cell) bool {
	return bytes.Equal(a.Ad, b.Ad) && a.Start == b.Start && a.Sum() == b.Sum() &&
		a.Revision == b.Revision && a.State == b.State && a.Version == b.Version
}

func sameRanking(a, b click.Ranking) bool {
	return a.Start == b.Start && a.Size == b.Size && a.Filter == b.Filter && a.State == b.State &&
		a.Revision == b.Revision && a.Version == b.Version && a.Clicks == b.Clicks && a.Ads == b.Ads &&
		slices.EqualFunc(a.Top, b.Top, func(a, b click.Row) bool { return bytes.Equal(a.Ad, b.Ad) && a.Count == b.Count })
}

// differ says where two lists part, or nothing when they are the same.
func differ[T any](got, want []T, same func(a, b T) bool) string {
	for i := range min(len(got), len(want)) {
		if !same(got[i], want[i]) {
			return fmt.Sprintf("number %d of %d is %+v, want %+v of %d", i, len(got), got[i], want[i], len(want))
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("there are %d, want %d", len(got), len(want))
	}
	return ""
}
