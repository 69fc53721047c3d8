package storagetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// Twofold keeps counts twice, as a cluster does: what Count and Copies say is in ByAd, all else in the
// other store. So that a test can spoil the one and not the other.
type Twofold struct {
	storage.Store
	ByAd storage.Store
}

// Apply implements storage.Store.
func (s *Twofold) Apply(ctx context.Context, b *storage.Batch) error {
	if err := s.ByAd.Apply(ctx, &storage.Batch{Results: b.Results}); err != nil {
		return err
	}
	return s.Store.Apply(ctx, b)
}

// Count implements storage.Store.
func (s *Twofold) Count(ctx context.Context, filter string, ad []byte, from, to int64) ([]storage.Cell, error) {
	return s.ByAd.Count(ctx, filter, ad, from, to)
}

// Copies implements storage.Store.
func (s *Twofold) Copies(ctx context.Context, from, to int64, f func(series string, c *storage.Cell) error) (bool, error) {
	filters, err := s.ByAd.Counted(ctx)
	for i := 0; i < len(filters) && err == nil; i++ {
		for u := storage.Window; u <= storage.Day && err == nil; u++ {
			series := u.Series(filters[i])
			err = s.ByAd.Scan(ctx, series, from, to, func(c *storage.Cell) error { return f(series, c) })
		}
	}
	return true, err
}

// Close implements storage.Store.
func (s *Twofold) Close() error { return errors.Join(s.Store.Close(), s.ByAd.Close()) }

// copies reads what Count is answered from, by series, in the order of a scan.
func (f *fixture) copies(from, to int64) (cells map[string][]storage.Cell, kept bool) {
	f.t.Helper()
	cells = map[string][]storage.Cell{}
	kept, err := f.store.Copies(f.t.Context(), from, to, func(series string, c *storage.Cell) error {
		one := *c
		one.Ad = bytes.Clone(c.Ad)
		cells[series] = append(cells[series], one)
		return nil
	})
	if err != nil || !kept && len(cells) > 0 {
		f.t.Fatalf("copies of %d series, %v: %v", len(cells), kept, err)
	}
	for _, list := range cells {
		slices.SortFunc(list, func(a, b storage.Cell) int {
			return cmp.Or(cmp.Compare(a.Start, b.Start), bytes.Compare(a.Ad, b.Ad))
		})
	}
	return cells, kept
}

// testCopies: what Count is answered from is all there, whatever the range, of windows and of roll-ups.
func testCopies(t *testing.T, f *fixture) {
	rng := rand.New(rand.NewPCG(9, 1))
	m := newModel()
	series := []string{click.FilterAll, "de", storage.Hour.Series("de"), storage.Day.Series(click.FilterAll)}
	days := rolled(storage.Day, click.FilterAll, 0, 24*hourMS, 1, click.Row{Ad: []byte("a"), Count: 8}, click.Row{Ad: []byte("日本"), Count: 1})
	for _, b := range []storage.Batch{
		history(rng, click.FilterAll), history(rng, "de"), days,
		rolled(storage.Hour, "de", 400*hourMS, hourMS, 1, click.Row{Ad: []byte("a"), Count: 3}),
		{Results: []click.Result{result("far", yearZero, 1, 1), result("far", yearEnd-size, 2, 1)}},
	} {
		f.apply(b)
		m.apply(&b)
	}
	if _, kept := f.copies(0, size); !kept {
		return
	}
	for _, edge := range [][2]int64{{math.MinInt64, math.MaxInt64}, {-2 * size, size}, {1, 2 * size}, {0, 1}, {size, size}, {size, 0}, {400 * hourMS, math.MaxInt64}} {
		got, _ := f.copies(edge[0], edge[1])
		for _, s := range series {
			if diff := differ(got[s], m.scan(s, nil, edge[0], edge[1]), sameCell); diff != "" {
				t.Errorf("copies of %q from %d to %d: %s", s, edge[0], edge[1], diff)
			}
			delete(got, s)
		}
		if len(got) > 0 {
			t.Errorf("from %d to %d: copies of %v", edge[0], edge[1], got)
		}
	}
	enough := errors.New("enough")
	n := 0
	kept, err := f.store.Copies(t.Context(), math.MinInt64, math.MaxInt64, func(string, *storage.Cell) error { n++; return enough })
	if !kept || !errors.Is(err, enough) || n != 1 {
		t.Errorf("%v, %d cells, %v", kept, n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.store.Copies(ctx, 0, size, func(string, *storage.Cell) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("not wanted any more: %v", err)
	}
}
