package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

func isInvalid(err error) bool { return errors.Is(err, storage.ErrInvalid) }

// result is a row of the filter every click passes.
func result(ad string, start, count, version int64) click.Result {
	return click.Result{
		Ad: []byte(ad), Start: start, Size: size, Filter: click.FilterAll,
		Count: count, Digest: uint64(count) * 0x9e3779b97f4a7c15, Revision: 1, State: click.Provisional, Version: version,
	}
}

func list(start, version int64, rows ...click.Row) click.Ranking {
	r := click.Ranking{
		Start: start, Size: size, Filter: click.FilterAll, State: click.Final, Revision: 1,
		Version: version, Ads: int64(len(rows)), Top: rows,
	}
	for _, row := range rows {
		r.Clicks += row.Count
	}
	return r
}

func (f *fixture) wantNewest(newer *click.Result, lists ...click.Ranking) {
	f.t.Helper()
	f.wantCells(click.FilterAll, []storage.Cell{cellOf(newer)})
	f.wantLists(click.FilterAll, math.MinInt64, math.MaxInt64, lists)
}

func testOlderInBatch(_ *testing.T, f *fixture) {
	older, newer := result("a", 0, 9, 1), result("a", 0, 5, 2)
	oldList, newList := list(0, 1, click.Row{Ad: []byte("a"), Count: 9}), list(0, 2, click.Row{Ad: []byte("a"), Count: 5})
	f.apply(storage.Batch{Results: []click.Result{newer, older}, Rankings: []click.Ranking{newList, oldList}})
	f.wantNewest(&newer, newList)

	newest, newestList := result("a", 0, 3, 4), list(0, 4)
	f.apply(storage.Batch{
		Results:  []click.Result{result("a", 0, 7, 3), newest},
		Rankings: []click.Ranking{list(0, 3, click.Row{Ad: []byte("a"), Count: 7}), newestList},
	})
	f.wantNewest(&newest, newestList)
}

func testOlderLater(_ *testing.T, f *fixture) {
	// Versions of one and of several bytes, so that a comparison of texts fails.
	newer, newList := result("a", 0, 5, 1000), list(0, 1000, click.Row{Ad: []byte("a"), Count: 5})
	f.apply(storage.Batch{Results: []click.Result{newer}, Rankings: []click.Ranking{newList}})
	for _, version := range []int64{1, 255, 256, 999} {
		f.apply(storage.Batch{
			Results:  []click.Result{result("a", 0, 9, version)},
			Rankings: []click.Ranking{list(0, version, click.Row{Ad: []byte("a"), Count: 9})},
		})
		f.wantNewest(&newer, newList)
	}
}

func testOlderAfterReopen(_ *testing.T, f *fixture) {
	newer, newList := result("a", 0, 5, 2), list(0, 2, click.Row{Ad: []byte("a"), Count: 5})
	f.apply(storage.Batch{Results: []click.Result{newer}, Rankings: []click.Ranking{newList}})
	f.store = f.reopen()
	f.wantNewest(&newer, newList)
	f.apply(storage.Batch{Results: []click.Result{result("a", 0, 9, 1)}, Rankings: []click.Ranking{list(0, 1)}})
	f.store = f.reopen()
	f.wantNewest(&newer, newList)
}

func testEqual(_ *testing.T, f *fixture) {
	row, top := result("a", -size, 5, 2), list(-size, 2, click.Row{Ad: []byte("a"), Count: 5})
	b := storage.Batch{Results: []click.Result{row, row}, Rankings: []click.Ranking{top, top}}
	f.apply(b)
	f.apply(b)
	f.wantNewest(&row, top)
}

func testZero(_ *testing.T, f *fixture) {
	f.apply(storage.Batch{Results: []click.Result{
		result("a", 0, 5, 1), result("b", 0, 1, 1), result("a", size, 5, 1), result("a", -size, 0, 1),
	}})
	f.apply(storage.Batch{Results: []click.Result{result("a", 0, 0, 2), result("a", size, 0, 2)}})
	f.apply(storage.Batch{Results: []click.Result{result("a", 0, 9, 1)}})
	b := result("b", 0, 1, 1)
	f.wantCells(click.FilterAll, []storage.Cell{cellOf(&b)})
	if got := f.count(click.FilterAll, []byte("a"), math.MinInt64, math.MaxInt64); len(got) != 0 {
		f.t.Errorf("cells without a click: %+v", got)
	}
	back := result("a", 0, 4, 3)
	f.apply(storage.Batch{Results: []click.Result{back}})
	f.wantCells(click.FilterAll, []storage.Cell{cellOf(&back), cellOf(&b)})
}

// testOrder applies the same rows in many orders, groupings and repetitions, each
// time under a filter of its own, and compares with the model.
func testOrder(_ *testing.T, f *fixture) {
	for round := range uint64(40) {
		rng := rand.New(rand.NewPCG(7, round))
		filter := fmt.Sprintf("f%d", round)
		said := history(rng, filter)
		want := newModel()
		for len(said.Results)+len(said.Rankings) > 0 {
			b := storage.Batch{
				Results:  take(rng, &said.Results),
				Rankings: take(rng, &said.Rankings),
			}
			for range 1 + rng.IntN(2) {
				f.apply(b)
			}
			want.apply(&b)
			if rng.IntN(20) == 0 {
				f.store = f.reopen()
			}
		}
		f.wantCells(filter, want.scan(filter, nil, math.MinInt64, math.MaxInt64))
		from := int64(rng.IntN(7)-3) * size / 2
		to := from + int64(rng.IntN(7)-1)*size/2
		f.wantScan(filter, from, to, want)
		f.wantCount(filter, "b", from, to, want)
		f.wantRankings(filter, from, to, want)
	}
}

// history is what reducers may say of a few ads and windows, shuffled. What is
// said of a row under one version is always the same.
func history(rng *rand.Rand, filter string) (b storage.Batch) {
	for version := range int64(8) {
		for start := int64(-2 * size); start <= 2*size; start += size {
			for _, ad := range []string{"a", "b", "b\x00", "\uffff"} {
				r := result(ad, start, int64(rng.IntN(3)), version+1)
				r.Filter, r.Revision, r.State = filter, 1+rng.Int64N(3), click.Provisional+click.State(rng.IntN(3))
				if rng.IntN(4) == 0 {
					r.Digest = 0 // unknown
				}
				b.Results = append(b.Results, r)
			}
			l := list(start, version+1, click.Row{Ad: []byte("a"), Count: rng.Int64N(100)}, click.Row{Ad: []byte("b"), Count: rng.Int64N(100)})
			l.Filter = filter
			b.Rankings = append(b.Rankings, l)
		}
	}
	b.Results = append(b.Results, b.Results[:len(b.Results)/4]...)
	rng.Shuffle(len(b.Results), func(i, j int) { b.Results[i], b.Results[j] = b.Results[j], b.Results[i] })
	rng.Shuffle(len(b.Rankings), func(i, j int) { b.Rankings[i], b.Rankings[j] = b.Rankings[j], b.Rankings[i] })
	return b
}

func take[T any](rng *rand.Rand, from *[]T) []T {
	n := min(1+rng.IntN(80), len(*from))
	part := (*from)[:n]
	*from = (*from)[n:]
	return part
}

// The years whose windows every store keeps.
const (
	yearZero = -62_167_219_200_000
	yearEnd  = 253_402_300_800_000 // of 9999
)

func testBytes(_ *testing.T, f *fixture) {
	ads := []string{"a", "ab", "a\x00", "a\x00b", "a\uffff", "aa", "日本", "é", "e\u0301", "\U0001f600", strings.Repeat("\U0010ffff", 32)}
	for c := range rune(256) {
		ads = append(ads, string(c), string([]rune{c, 0xffff, 0}))
	}
	slices.Sort(ads)
	ads = slices.Compact(ads)
	m := newModel()
	var b storage.Batch
	for _, start := range []int64{yearZero, -size, 0, size, 1574553600000, yearEnd - size} {
		for i, ad := range ads {
			b.Results = append(b.Results, result(ad, start, int64(i+1), 1))
		}
	}
	m.apply(&b)
	slices.Reverse(b.Results)
	f.apply(b)
	for range 2 {
		f.wantScan(click.FilterAll, math.MinInt64, math.MaxInt64, m)
		for _, ad := range ads {
			f.wantCount(click.FilterAll, ad, -size, 2*size, m)
		}
		f.store = f.reopen()
	}
}

func testRanges(_ *testing.T, f *fixture) {
	m := newModel()
	var b storage.Batch
	for _, start := range []int64{-2 * size, -size, 0, size, 5 * size} {
		b.Results = append(b.Results, result("a", start, 1, 1), result("b", start, 2, 1))
		b.Rankings = append(b.Rankings, list(start, 1, click.Row{Ad: []byte("b"), Count: 2}))
	}
	f.apply(b)
	m.apply(&b)
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -3 * size, -2 * size, -2*size + 1, -size, -1, 0, 1, size, size + 1, 4 * size, 5 * size, 5*size + 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, from := range edges {
		for _, to := range edges {
			f.wantScan(click.FilterAll, from, to, m)
			f.wantCount(click.FilterAll, "a", from, to, m)
			f.wantRankings(click.FilterAll, from, to, m)
		}
	}
}

func testFilters(_ *testing.T, f *fixture) {
	m := newModel()
	filters := []string{"0", "00", "000", "001", "de", "\uffff", "日本", string(make([]byte, 200))}
	var b storage.Batch
	for i, filter := range filters {
		r, l := result("a", int64(i)*size, int64(i+1), 1), list(int64(i)*size, 1)
		r.Filter, l.Filter = filter, filter
		b.Results, b.Rankings = append(b.Results, r), append(b.Rankings, l)
	}
	f.apply(b)
	m.apply(&b)
	for _, filter := range append(filters, "unknown") {
		f.wantCells(filter, m.scan(filter, nil, math.MinInt64, math.MaxInt64))
		f.wantRankings(filter, math.MinInt64, math.MaxInt64, m)
	}
}

// testFiltersOfWindow applies what is said of the same ads and windows under several filters,
// mixed as reducers say it. What is said under one, and how new it is, changes nothing under another.
func testFiltersOfWindow(_ *testing.T, f *fixture) {
	rng := rand.New(rand.NewPCG(8, 1))
	filters := []string{click.FilterAll, "0", "KR", "mobile"}
	var said storage.Batch
	for i, filter := range filters {
		h := history(rng, filter)
		for j := range h.Results {
			h.Results[j].Version += int64(i) * 100
		}
		for j := range h.Rankings {
			h.Rankings[j].Version += int64(i) * 100
		}
		said.Results, said.Rankings = append(said.Results, h.Results...), append(said.Rankings, h.Rankings...)
	}
	rng.Shuffle(len(said.Results), func(i, j int) { said.Results[i], said.Results[j] = said.Results[j], said.Results[i] })
	rng.Shuffle(len(said.Rankings), func(i, j int) { said.Rankings[i], said.Rankings[j] = said.Rankings[j], said.Rankings[i] })
	want := newModel()
	for len(said.Results)+len(said.Rankings) > 0 {
		b := storage.Batch{Results: take(rng, &said.Results), Rankings: take(rng, &said.Rankings)}
		f.apply(b)
		want.apply(&b)
	}
	for range 2 {
		for _, filter := range filters {
			f.wantCells(filter, want.scan(filter, nil, math.MinInt64, math.MaxInt64))
			f.wantCount(filter, "b", -size, size, want)
			f.wantRankings(filter, -size, 2*size, want)
		}
		f.store = f.reopen()
	}
}

func testScanStops(t *testing.T, f *fixture) {
	f.apply(storage.Batch{Results: []click.Result{result("a", 0, 1, 1), result("b", 0, 1, 1)}})
	enough := errors.New("enough")
	n := 0
	err := f.store.Scan(t.Context(), click.FilterAll, 0, size, func(*storage.Cell) error { n++; return enough })
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("%d cells, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.store.Scan(ctx, click.FilterAll, 0, size, func(*storage.Cell) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("not wanted any more: %v", err)
	}
}

func testScanMoment(_ *testing.T, f *fixture) {
	a, b := result("a", 0, 1, 1), result("b", 0, 1, 1)
	f.apply(storage.Batch{Results: []click.Result{a, b}})
	var got []storage.Cell
	err := f.store.Scan(f.t.Context(), click.FilterAll, 0, 10*size, func(c *storage.Cell) error {
		f.apply(storage.Batch{Results: []click.Result{result("b", 0, 2, 2), result("c", 0, 1, 1), result("a", size, 1, 1)}})
		kept := *c
		kept.Ad = bytes.Clone(c.Ad)
		got = append(got, kept)
		return nil
	})
	if diff := differ(got, []storage.Cell{cellOf(&a), cellOf(&b)}, sameCell); diff != "" || err != nil {
		f.t.Errorf("%s, %v", diff, err)
	}
}

// lineage is that of a window with a source of two and a shard of three.
func lineage(start, version int64) click.Lineage {
	l := click.Lineage{
		Start: start, Size: size, State: click.Final, Version: version, Reducers: 1, Shards: []int64{version, 0, math.MaxInt64},
		Sources: []click.Origin{
			{
				Source: click.Source{Topic: "clicks", ID: click.TopicID{1, 0xff}, Partition: 3}, Heard: version + 1, Settled: version,
				Account: click.Account{Skipped: 1, Received: 9, Marks: 1, Late: 1, Routed: 6},
				Tally:   click.Tally{Counted: 2, Duplicate: 1, Conflict: 1, Crowded: 1, Stale: 1},
			},
			{Source: click.Source{Topic: "日本"}},
		},
	}
	l.Sources[0].Account.Rejected[click.BadText] = 1
	return l
}

func testLineages(_ *testing.T, f *fixture) {
	early, first, last := lineage(-size, 7), lineage(0, 255), lineage(yearEnd-size, 1)
	newer := lineage(0, 256)
	newer.State = click.Corrected
	for _, b := range [][]click.Lineage{{first, last}, {newer, early, first}, {first}, {newer}} {
		f.apply(storage.Batch{Lineages: b})
	}
	for range 2 {
		f.wantLineage(-size, &early)
		f.wantLineage(0, &newer)
		f.wantLineage(yearEnd-size, &last)
		for _, none := range []int64{math.MinInt64, -2 * size, -1, 1, size, math.MaxInt64} {
			f.wantLineage(none, nil)
		}
		f.store = f.reopen()
	}
	f.apply(storage.Batch{Lineages: []click.Lineage{first}})
	f.wantLineage(0, &newer)
	f.wantCells(click.FilterAll, nil)
}

func testRankings(t *testing.T, f *fixture) {
	long := make([]click.Row, 1000)
	for i := range long {
		long[i] = click.Row{Ad: fmt.Appendf(nil, "ad %d \x00\uffff", i), Count: int64(2000-i) * 1_000_000_007}
	}
	lists := []click.Ranking{list(-size, 3, long...), list(0, 1), list(size, 2, click.Row{Ad: []byte{}, Count: math.MaxInt64})}
	lists[0].Clicks, lists[0].Ads, lists[0].Revision, lists[0].State = math.MaxInt64, 2_000_000, 7, click.Corrected
	f.apply(storage.Batch{Rankings: []click.Ranking{lists[2], lists[0], lists[1]}})
	for range 2 {
		f.wantLists(click.FilterAll, math.MinInt64, math.MaxInt64, lists)
		f.store = f.reopen()
	}
}
