package storagetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// filterRow is a version of a row.
func filterRow(id string, from, until, version int64) storage.Filter {
	return storage.Filter{ID: id, Name: id + " é", Where: `country == "KR" && name != '\x01'`, From: from, Until: until, Version: version}
}

// dimension is the store under test as a filter table.
func (f *fixture) dimension() storage.FilterStore {
	f.t.Helper()
	d, ok := f.store.(storage.FilterStore)
	if !ok {
		f.t.Fatalf("%T keeps no filters", f.store)
	}
	return d
}

func (f *fixture) putFilters(rows ...storage.Filter) {
	f.t.Helper()
	if err := f.dimension().PutFilters(f.t.Context(), rows); err != nil {
		f.t.Fatalf("put filters: %v", err)
	}
}

func (f *fixture) wantFilters(want ...storage.Filter) {
	f.t.Helper()
	got, err := f.dimension().Filters(f.t.Context())
	if err != nil || !slices.Equal(got, want) {
		f.t.Fatalf("filters: %+v, %v, want %+v", got, err, want)
	}
}

func testFilterTable(_ *testing.T, f *fixture) {
	const end = click.None
	f.wantFilters()
	f.putFilters()
	ended, again := filterRow("kr", 0, 60, 5), filterRow("kr", 60, end, 7)
	long, early, never := filterRow("kr.phone", 0, end, 5), filterRow("Z", -60, 120, 3), filterRow("a", 60, 60, 9)
	f.putFilters(filterRow("kr", 0, end, 4), long)
	f.putFilters(again, ended, never)
	f.putFilters(early, again)
	for range 2 {
		f.wantFilters(early, never, ended, again, long)
		f.store = f.reopen()
	}
	f.putFilters(filterRow("kr", 0, end, 4), filterRow("kr", 60, 90, 6))
	f.wantFilters(early, never, ended, again, long)
	// Case: what ended before it held is defined again, and has no end any more.
	never.Where, never.Until, never.Version = "true", end, 10
	f.putFilters(never)
	f.wantFilters(early, never, ended, again, long)
	f.wantCells("kr", nil)
}

func testFilterTableInvalid(t *testing.T, f *fixture) {
	good := filterRow("kr", 0, click.None, 1)
	for name, spoil := range map[string]func(*storage.Filter){
		"no identifier":             func(r *storage.Filter) { r.ID = "" },
		"a zero byte in it":         func(r *storage.Filter) { r.ID = "k\x00r" },
		"one that is not UTF-8":     func(r *storage.Filter) { r.ID = "\xff" },
		"a name that is not":        func(r *storage.Filter) { r.Name = "\xff" },
		"a predicate that is not":   func(r *storage.Filter) { r.Where = "\xff" },
		"no position":               func(r *storage.Filter) { r.Version = -1 },
		"from before the year 0":    func(r *storage.Filter) { r.From = yearZero - 1 },
		"from after the year 9999":  func(r *storage.Filter) { r.From = yearEnd },
		"until after the year 9999": func(r *storage.Filter) { r.Until = yearEnd },
		"until before from":         func(r *storage.Filter) { r.Until = -1 },
	} {
		bad := good
		spoil(&bad)
		if err := f.dimension().PutFilters(t.Context(), []storage.Filter{good, bad}); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.wantFilters()
}

func testFilterTableClosed(t *testing.T, f *fixture) {
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.dimension().PutFilters(t.Context(), []storage.Filter{filterRow("kr", 0, click.None, 1)}); err == nil {
		t.Error("put filters worked")
	}
	if _, err := f.dimension().Filters(t.Context()); err == nil {
		t.Error("filters worked")
	}
}
