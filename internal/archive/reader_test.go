package archive

import (
	"errors"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// twenty archives sources of 60 records each, and counts reads of parts of files.
func twenty(t *testing.T) (raw shelf, blobs *attic, ranges *int) {
	t.Helper()
	raw, blobs, ranges = shelf{}, newAttic(), new(int)
	for p := range int32(20) {
		raw[source("clicks", p)] = history(uint64(p))[source("clicks.eu", p%3)][:60]
	}
	archiveAll(t, raw, blobs)
	blobs.before = func(verb, _ string) error {
		if verb == "range" {
			*ranges++
		}
		return nil
	}
	return raw, blobs, ranges
}

// TestIdleRuns: sources that are read in turn, some records at a time, give all of them, whether there is room for the runs
// that nobody reads or not. Beyond that room none is held, and those that are held are not unpacked again.
func TestIdleRuns(t *testing.T) {
	t.Parallel()
	raw, blobs, ranges := twenty(t)
	const part, rounds = 5, 12
	held := len(raw) + 1
	for _, most := range []int64{1 << 30, 300_000, 0} {
		r, before := reader(t, blobs), *ranges
		r.most, *ranges = most, 0
		got := map[click.Source][]click.Record{}
		fewer := 0
		for range rounds {
			for _, s := range r.Sources() {
				for range part {
					from := int64(0)
					if n := len(got[s]); n > 0 {
						from = got[s][n-1].Offset + 1
					}
					got[s] = append(got[s], one(t, r, s, from))
				}
			}
			idle := int64(0)
			fewer = 0
			for _, c := range r.cursors {
				if c.rows != nil {
					fewer++
					idle += c.rows.size()
				}
			}
			if idle > most || idle != r.bytes || fewer != len(r.idle) {
				t.Fatalf("%d bytes of %d runs are idle, %d of %d by the account, at most %d", idle, fewer, r.bytes, len(r.idle), most)
			}
		}
		for s, all := range raw {
			if !slices.EqualFunc(got[s], all, storagetest.SameRecord) {
				t.Errorf("room for %d: %d records of %v, want %d", most, len(got[s]), s, len(all))
			}
		}
		if fewer >= held || *ranges <= before {
			t.Errorf("room for %d: %d runs held after %d reads of the files; with more room %d, %d", most, fewer, *ranges, held, before)
		}
		held = fewer
	}
	if held > 0 {
		t.Errorf("%d runs held without room", held)
	}
}

// TestRunsAtHand: of many sources that are read in turn, the runs of those that were read last, and of as many others as there
// is room for, are not unpacked again. What was read to its end is not held.
func TestRunsAtHand(t *testing.T) {
	t.Parallel()
	_, blobs, ranges := twenty(t)
	r := reader(t, blobs)
	read(t, r, r.Sources()[0], 0, 1<<60)
	if r.bytes > 0 {
		t.Errorf("%d bytes are idle", r.bytes)
	}
	// Case: those that were read last are at hand, whoever else is held.
	for _, s := range r.Sources() {
		one(t, r, s, 0)
	}
	r.most = r.bytes * 3 / 4
	for at := range r.Sources() {
		one(t, r, r.Sources()[at], 0)
		*ranges = 0
		for _, s := range r.Sources()[max(at+1-guests, 0) : at+1] {
			if one(t, r, s, 0); *ranges > 0 {
				t.Fatalf("%v was unpacked again when %d was read", s, at)
			}
		}
	}
	// Case: read in turn, most find theirs.
	*ranges = 0
	for _, s := range r.Sources() {
		one(t, r, s, 0)
	}
	if *ranges > len(r.Sources())/2 {
		t.Errorf("%d of %d runs were unpacked again", *ranges, len(r.Sources()))
	}
}

var errEnough = errors.New("enough")

// one returns the first record from an offset on.
func one(t *testing.T, r *Reader, s click.Source, from int64) (own click.Record) {
	t.Helper()
	err := r.Read(t.Context(), s, from, 1<<60, func(rec *click.Record) error {
		own = *rec
		own.Key, own.Value, own.Headers.Raw = slices.Clone(rec.Key), slices.Clone(rec.Value), slices.Clone(rec.Headers.Raw)
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return own
}
