package storagetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// Open makes an empty store for one test, which is closed when the test ends.
// Reopen ends the use of what was opened last, in whatever way, and opens the
// same content again; what Apply stored before must be there.
type Open func(t *testing.T) (store storage.Store, reopen func() storage.Store)

// Run holds a backend to the promises that every storage.Store keeps.
func Run(t *testing.T, open Open) {
	run(t, open, []promise{
		{"an empty store answers", testEmpty},
		{"an older version changes nothing in the same batch", testOlderInBatch},
		{"an older version changes nothing in a later batch", testOlderLater},
		{"an older version changes nothing after a restart", testOlderAfterReopen},
		{"an equal version changes nothing", testEqual},
		{"a count of zero hides and supersedes", testZero},
		{"any order and repetition gives the same", testOrder},
		{"cells are ordered by window, then by the ad's bytes", testBytes},
		{"ranges are half open", testRanges},
		{"filters are apart", testFilters},
		{"a window's filters are apart, version by version", testFiltersOfWindow},
		{"a scan stops when told", testScanStops},
		{"what is kept for counts is all there", testCopies},
		{"ads are found by how they begin", testAds},
		{"ranked lists come back whole", testRankings},
		{"lineages come back whole, the newest of each window", testLineages},
		{"complete until the least mark", testMarks},
		{"marks are only as new as their counts", testMarkCounts},
		{"what is closed is the least that is said", testClosedUntil},
		{"the newest hold of each mark stands", testHolds},
		{"roll-ups stand beside the windows", testRollups},
		{"the newest touch of an hour and a partition stands", testTouches},
		{"filters are those with a count", testFilterNames},
		{"readers see marks after rows, and counts only get newer", testReaders},
		{"an impossible batch is refused", testInvalid},
		{"a closed store refuses", testClosed},
		{"filters come back, the newest of each row", testFilterTable},
		{"what is no filter is refused", testFilterTableInvalid},
		{"a closed filter table refuses", testFilterTableClosed},
	})
}

// RunMoment holds a backend to what it promises beyond that if its answers are of
// one moment.
func RunMoment(t *testing.T, open Open) {
	run(t, open, []promise{
		{"a scan is of one moment", testScanMoment},
		{"readers see batches whole", testReadersMoment},
	})
}

type promise struct {
	name string
	test func(*testing.T, *fixture)
}

func run(t *testing.T, open Open, promises []promise) {
	for _, c := range promises {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, reopen := open(t)
			c.test(t, &fixture{t: t, store: store, reopen: func() storage.Store { return reopen() }})
		})
	}
}

// fixture is a store under test with the calls that must not fail.
type fixture struct {
	t      *testing.T
	store  storage.Store
	reopen func() storage.Store
}

func (f *fixture) apply(b storage.Batch) {
	f.t.Helper()
	if err := f.store.Apply(f.t.Context(), &b); err != nil {
		f.t.Fatalf("apply: %v", err)
	}
}

func (f *fixture) count(filter string, ad []byte, from, to int64) []storage.Cell {
	f.t.Helper()
	cells, err := f.store.Count(f.t.Context(), filter, ad, from, to)
	if err != nil {
		f.t.Fatalf("count: %v", err)
	}
	return cells
}

func (f *fixture) scan(filter string, from, to int64) []storage.Cell {
	f.t.Helper()
	var cells []storage.Cell
	err := f.store.Scan(f.t.Context(), filter, from, to, func(c *storage.Cell) error {
		kept := *c
		kept.Ad = bytes.Clone(c.Ad)
		cells = append(cells, kept)
		return nil
	})
	if err != nil {
		f.t.Fatalf("scan: %v", err)
	}
	return cells
}

// wantLineage compares what is said of a window, nil for nothing.
func (f *fixture) wantLineage(start int64, want *click.Lineage) {
	f.t.Helper()
	got, ok, err := f.store.Lineage(f.t.Context(), start)
	if err != nil || ok != (want != nil) || ok && !reflect.DeepEqual(got, *want) {
		f.t.Fatalf("lineage of %d: %+v, %v, %v, want %+v", start, got, ok, err, want)
	}
}

func (f *fixture) wantComplete(want int64, when string) {
	f.t.Helper()
	if got := f.complete(); got != want {
		f.t.Fatalf("complete until %d, want %d: %s", got, want, when)
	}
}

func (f *fixture) complete() int64 {
	f.t.Helper()
	got, err := f.store.CompleteUntil(f.t.Context())
	if err != nil {
		f.t.Fatalf("complete until: %v", err)
	}
	return got
}

func (f *fixture) wantScan(filter string, from, to int64, m *model) {
	f.t.Helper()
	if diff := differ(f.scan(filter, from, to), m.scan(filter, nil, from, to), sameCell); diff != "" {
		f.t.Fatalf("scan of %q from %d to %d: %s", filter, from, to, diff)
	}
}

func (f *fixture) wantCount(filter, ad string, from, to int64, m *model) {
	f.t.Helper()
	if diff := differ(f.count(filter, []byte(ad), from, to), m.scan(filter, []byte(ad), from, to), sameCell); diff != "" {
		f.t.Fatalf("count of %q under %q from %d to %d: %s", ad, filter, from, to, diff)
	}
}

func (f *fixture) wantRankings(filter string, from, to int64, m *model) {
	f.t.Helper()
	f.wantLists(filter, from, to, m.rankings(filter, from, to))
}

// wantLists compares lists, whole and their heads.
func (f *fixture) wantLists(filter string, from, to int64, want []click.Ranking) {
	f.t.Helper()
	want = slices.Clone(want)
	for _, most := range []int{storage.WholeList, 1000, 70, 60, 2, 1, 0} {
		for i := range want {
			want[i].Top = want[i].Top[:min(most, len(want[i].Top))]
		}
		got, err := f.store.Rankings(f.t.Context(), filter, from, to, most)
		if err != nil {
			f.t.Fatalf("rankings: %v", err)
		}
		if diff := differ(got, want, sameRanking); diff != "" {
			f.t.Fatalf("rankings of %q from %d to %d, first %d: %s", filter, from, to, most, diff)
		}
	}
}

// wantCells compares every way to ask for the cells of a filter.
func (f *fixture) wantCells(filter string, want []storage.Cell) {
	f.t.Helper()
	if diff := differ(f.scan(filter, math.MinInt64, math.MaxInt64), want, sameCell); diff != "" {
		f.t.Fatalf("scan of %q: %s", filter, diff)
	}
	byAd := map[string][]storage.Cell{}
	for _, c := range want {
		byAd[string(c.Ad)] = append(byAd[string(c.Ad)], c)
	}
	for ad, cells := range byAd {
		if diff := differ(f.count(filter, []byte(ad), math.MinInt64, math.MaxInt64), cells, sameCell); diff != "" {
			f.t.Fatalf("count of %q under %q: %s", ad, filter, diff)
		}
	}
	first, last, ok, err := f.store.Span(f.t.Context(), filter)
	switch {
	case err != nil:
		f.t.Fatalf("span: %v", err)
	case ok != (len(want) > 0):
		f.t.Fatalf("span of %q: %v, there are %d cells", filter, ok, len(want))
	case ok && (first != want[0].Start || last != want[len(want)-1].Start):
		f.t.Fatalf("span of %q: %d to %d, want %d to %d", filter, first, last, want[0].Start, want[len(want)-1].Start)
	}
}

func testEmpty(t *testing.T, f *fixture) {
	for _, when := range []string{"new", "reopened"} {
		f.wantCells(click.FilterAll, nil)
		if got := f.count(click.FilterAll, []byte("a"), math.MinInt64, math.MaxInt64); len(got) != 0 {
			t.Errorf("%s: cells %+v", when, got)
		}
		f.wantLists(click.FilterAll, math.MinInt64, math.MaxInt64, nil)
		f.wantLineage(0, nil)
		f.wantComplete(click.None, when)
		f.wantRollups(storage.Hour.Series(click.FilterAll), math.MinInt64, math.MaxInt64)
		f.wantTouches(math.MinInt64, math.MaxInt64)
		f.apply(storage.Batch{})
		f.store = f.reopen()
	}
}

func testInvalid(t *testing.T, f *fixture) {
	f.apply(storage.Batch{Results: []click.Result{result("a", 0, 1, 1)}})
	other, crooked := result("a", 0, 1, 2), result("a", 1, 1, 2)
	other.Size = 2 * size
	hour, day, fortnight := result("a", 0, 1, 2), result("a", 0, 1, 2), result("a", 0, 1, 2)
	hour.Filter, day.Filter, fortnight.Filter = storage.Hour.Series(click.FilterAll), storage.Day.Series(click.FilterAll), click.FilterAll+"/14d"
	day.Size = 30 * hourMS
	wide, inside, open, nobody := lineage(0, 1), lineage(1, 1), lineage(0, 1), lineage(0, 1)
	wide.Size, open.State, nobody.Reducer = 2*size, click.Provisional, 1
	for name, b := range map[string]storage.Batch{
		"a window of another size": {Results: []click.Result{other}},
		"a start inside a window":  {Results: []click.Result{crooked}},
		"an hour of a minute":      {Results: []click.Result{hour}},
		"a day of thirty hours":    {Results: []click.Result{day}},
		"a unit that is none":      {Results: []click.Result{fortnight}},
		"a lineage of two windows": {Lineages: []click.Lineage{wide}},
		"one of no window":         {Lineages: []click.Lineage{inside}},
		"one of an open window":    {Lineages: []click.Lineage{open}},
		"one of no reducer":        {Lineages: []click.Lineage{nobody}},
		"a mark of no reducer":     {Marks: []storage.Mark{{Partitions: 1, Reducer: 1, Reducers: 1}}},
		"a mark of no partition":   {Marks: []storage.Mark{{Partition: -1, Partitions: 1, Reducers: 1}}},
	} {
		otherSize := name == "a window of another size" || name == "a lineage of two windows"
		if err := f.store.Apply(t.Context(), &b); !isInvalid(err) || errors.Is(err, storage.ErrOtherSize) != otherSize {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := result("a", 0, 1, 1)
	f.wantCells(click.FilterAll, []storage.Cell{cellOf(&one)})
	f.wantLineage(0, nil)
}

func testClosed(t *testing.T, f *fixture) {
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	errs := map[string]error{"apply": f.store.Apply(ctx, &storage.Batch{Results: []click.Result{result("a", 0, 1, 1)}})}
	_, errs["count"] = f.store.Count(ctx, click.FilterAll, []byte("a"), 0, size)
	errs["scan"] = f.store.Scan(ctx, click.FilterAll, 0, size, func(*storage.Cell) error { return nil })
	_, errs["ads"] = f.store.Ads(ctx, click.FilterAll, "", 0, size, 1)
	_, errs["copies"] = f.store.Copies(ctx, 0, size, func(string, *storage.Cell) error { return nil })
	_, errs["rankings"] = f.store.Rankings(ctx, click.FilterAll, 0, size, storage.WholeList)
	_, _, errs["lineage"] = f.store.Lineage(ctx, 0)
	_, errs["roll-ups"] = f.store.Rollups(ctx, click.FilterAll, 0, size)
	_, errs["touches"] = f.store.Touches(ctx, 0, size)
	_, errs["counted"] = f.store.Counted(ctx)
	_, errs["marks"] = f.store.Marks(ctx)
	_, errs["complete until"] = f.store.CompleteUntil(ctx)
	_, _, _, errs["span"] = f.store.Span(ctx, click.FilterAll)
	for call, err := range errs {
		if err == nil {
			t.Errorf("%s worked", call)
		}
	}
}
