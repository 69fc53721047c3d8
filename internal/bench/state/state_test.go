package main

import "testing"

// A small run gives what a large one does: all ids, and a restart from all snapshots.
func TestMeasure(t *testing.T) {
	t.Parallel()
	o := options{ads: 2_000, rate: 1_000, minutes: 2, shards: 2, piece: 100_000}
	dir := t.TempDir()
	r, err := fill(t.Context(), &o, dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.IDs < 120_000 || r.Ads < 4_000 || len(r.Snapshots) != 2 {
		t.Errorf("%+v", r)
	}
	o.restore = dir
	if _, err := countOn(t.Context(), &o); err != nil {
		t.Error(err)
	}
}
