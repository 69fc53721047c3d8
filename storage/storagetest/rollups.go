package storagetest

import (
	"math"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const hourMS = 3_600_000

func (f *fixture) wantRollups(series string, from, to int64, want ...storage.Rollup) {
	f.t.Helper()
	got, err := f.store.Rollups(f.t.Context(), series, from, to)
	if err != nil || !slices.Equal(got, want) {
		f.t.Fatalf("roll-ups of %q from %d to %d: %v, %v, want %v", series, from, to, got, err, want)
	}
}

func (f *fixture) wantTouches(from, to int64, want ...storage.Touch) {
	f.t.Helper()
	got, err := f.store.Touches(f.t.Context(), from, to)
	if err != nil || !slices.Equal(got, want) {
		f.t.Fatalf("touches from %d to %d: %v, %v, want %v", from, to, got, err, want)
	}
}

// rolled is a count or a list of an hour or a day.
func rolled(u storage.Unit, filter string, start, length, version int64, rows ...click.Row) storage.Batch {
	l := list(start, version, rows...)
	l.Filter, l.Size = u.Series(filter), length
	b := storage.Batch{Rankings: []click.Ranking{l}}
	for _, row := range rows {
		r := result(string(row.Ad), start, row.Count, version)
		r.Filter, r.Size = l.Filter, length
		b.Results = append(b.Results, r)
	}
	return b
}

// testRollups stores windows, hours and days of three lengths, two of them of one start, and
// asks for each as for windows.
func testRollups(_ *testing.T, f *fixture) {
	all := click.FilterAll
	hours, days := storage.Hour.Series(all), storage.Day.Series(all)
	row := func(ad string, count int64) click.Row { return click.Row{Ad: []byte(ad), Count: count} }
	// A day begins where its zone's does: here a quarter of an hour after the hour.
	const monday = -24*hourMS + hourMS/4
	said := []storage.Batch{
		{Results: []click.Result{result("a", 0, 1, 9), result("a", size, 2, 9)}},
		rolled(storage.Hour, all, 0, hourMS, 1, row("a", 3)),
		rolled(storage.Hour, all, hourMS, hourMS, 1),
		rolled(storage.Hour, all, 100*hourMS, hourMS, 1, row("b", 7)),
		rolled(storage.Day, all, monday, 23*hourMS, 1, row("a", 8), row("b", 5)),
		rolled(storage.Day, all, monday+23*hourMS, 25*hourMS, 4, row("a", 6)),
		rolled(storage.Day, all, monday+1000*hourMS, 24*hourMS, 1, row("a", 1)),
		rolled(storage.Hour, "de", 0, hourMS, 1, row("c", 1)),
	}
	m := newModel()
	for i := range said {
		f.apply(said[i])
		m.apply(&said[i])
	}
	// An older one changes nothing, a newer one takes its place whole.
	f.apply(rolled(storage.Day, all, monday+23*hourMS, 24*hourMS, 3, row("a", 9)))
	again := rolled(storage.Hour, all, 0, hourMS, 2, row("a", 4))
	f.apply(again)
	m.apply(&again)
	for range 2 {
		for _, series := range []string{all, hours, days, storage.Hour.Series("de"), storage.Day.Series("de")} {
			f.wantCells(series, m.scan(series, nil, math.MinInt64, math.MaxInt64))
			f.wantRankings(series, math.MinInt64, math.MaxInt64, m)
			for _, edge := range []int64{monday, monday + 1, 0, hourMS, 23 * hourMS} {
				f.wantCount(series, "a", edge, 100*hourMS, m)
				f.wantScan(series, edge, 100*hourMS, m)
				f.wantRankings(series, edge, 100*hourMS, m)
			}
		}
		f.wantRollups(all, math.MinInt64, math.MaxInt64)
		f.wantRollups(hours, math.MinInt64, math.MaxInt64,
			storage.Rollup{Start: 0, End: hourMS, Version: 2}, storage.Rollup{Start: hourMS, End: 2 * hourMS, Version: 1},
			storage.Rollup{Start: 100 * hourMS, End: 101 * hourMS, Version: 1})
		f.wantRollups(hours, 1, 2*hourMS, storage.Rollup{Start: hourMS, End: 2 * hourMS, Version: 1})
		f.wantRollups(days, monday, monday+48*hourMS,
			storage.Rollup{Start: monday, End: monday + 23*hourMS, Version: 1},
			storage.Rollup{Start: monday + 23*hourMS, End: monday + 48*hourMS, Version: 4})
		f.wantRollups(days, monday, monday+48*hourMS-1, storage.Rollup{Start: monday, End: monday + 23*hourMS, Version: 1})
		f.store = f.reopen()
	}
}

func testTouches(_ *testing.T, f *fixture) {
	at := func(hour int64, partition int32, offset int64) storage.Touch {
		return storage.Touch{Hour: hour * hourMS, Partition: partition, Offset: offset}
	}
	for _, t := range []storage.Touch{at(0, 1, 500), at(0, 0, 7), at(5, 3, 1), at(-1, 0, 256), at(-1, 0, 255), at(0, 1, 499)} {
		r := result("a", t.Hour, t.Offset, t.Offset)
		f.apply(storage.Batch{Results: []click.Result{r}, Touches: []storage.Touch{t}})
	}
	for range 2 {
		f.wantTouches(math.MinInt64, math.MaxInt64, at(-1, 0, 256), at(0, 0, 7), at(0, 1, 500), at(5, 3, 1))
		f.wantTouches(-1, 1, at(-1, 0, 256), at(0, 0, 7), at(0, 1, 500))
		f.wantTouches(1, 2, at(0, 0, 7), at(0, 1, 500))
		f.wantTouches(hourMS, 5*hourMS)
		f.store = f.reopen()
	}
}

func testFilterNames(t *testing.T, f *fixture) {
	f.apply(rolled(storage.Hour, "gone", 0, hourMS, 1, click.Row{Ad: []byte("a"), Count: 1}))
	want := []string{}
	for _, filter := range []string{"000", "de", "a", "\uffff"} {
		for _, ad := range []string{"a", "b"} {
			r := result(ad, 0, 1, 1)
			r.Filter = filter
			f.apply(storage.Batch{Results: []click.Result{r}})
		}
		want = append(want, filter)
	}
	slices.Sort(want)
	if got, err := f.store.Counted(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func testClosedUntil(_ *testing.T, f *fixture) {
	mark := func(partition int32, watermark, closed int64) {
		m := said(partition, 2, 0, 1, watermark)
		m.Closed = closed
		f.mark(m)
	}
	mark(0, 500, 300)
	f.wantClosed(click.None, "one partition was not heard")
	mark(1, 600, -100)
	f.wantClosed(-100, "the least of two")
	mark(1, 700, 200)
	mark(1, 650, 100)
	f.wantClosed(200, "a mark said again late takes nothing back")
	f.store = f.reopen()
	f.wantClosed(200, "after a restart")
}

func (f *fixture) wantClosed(want int64, when string) {
	f.t.Helper()
	marks, err := f.store.Marks(f.t.Context())
	if _, got := storage.Until(marks); err != nil || got != want {
		f.t.Fatalf("closed until %d, %v, want %d: %s", got, err, want, when)
	}
}
