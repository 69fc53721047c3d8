package recount

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// archived archives what was received up to a time, and returns how to open it.
func archived(t testing.TB, in records, before int64) func(context.Context) (*archive.Reader, func() error, error) {
	t.Helper()
	return opened(filed(t, in, before))
}

func opened(blobs blob.Ranger) func(context.Context) (*archive.Reader, func() error, error) {
	return func(ctx context.Context) (*archive.Reader, func() error, error) {
		r, err := archive.NewReader(ctx, blobs)
		return r, func() error { return nil }, err
	}
}

// filed is an archive of what was received up to a time.
func filed(t testing.TB, in records, before int64) *blob.Dir {
	t.Helper()
	blobs, err := blob.OpenTree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := archive.New(kept{in}, blobs, archive.Config{Rule: rules(t).Judge}, stream.Wall{}, archive.NewMetrics(nil), zap.NewNop())
	for s := range in {
		if _, err := a.Source(t.Context(), s, archive.Reach{Before: before, Until: math.MaxInt64, Whole: true}, func(*archive.Manifest) {}); err != nil {
			t.Fatal(err)
		}
	}
	return blobs
}

// TestStrangers: what is no manifest among an archive's harms no recount; where one was a manifest, the recount does not say that it
// has everything.
func TestStrangers(t *testing.T) {
	t.Parallel()
	in := history(1)
	blobs := filed(t, in, base+1000*60*minute)
	look := func(whole bool) {
		t.Helper()
		span := Range{base + 65*minute, base + 75*minute}
		want, _ := count(t, in, span, rules(t))
		got, report := count(t, &Kept{Archived: opened(blobs), Log: in}, span, rules(t))
		if report.Whole != whole || maps.Equal(got, want) != whole {
			t.Errorf("%+v, want whole %v: %d counts, and %d of all records", report, whole, len(got), len(want))
		}
	}
	look(true)
	names, err := blobs.List(t.Context(), "_manifests/")
	if err != nil {
		t.Fatal(err)
	}
	renamed, err := blobs.Get(t.Context(), names[1])
	if err = errors.Join(err, blobs.Put(t.Context(), "_manifests/notes.txt", nil), blobs.Put(t.Context(), names[1]+".bak", renamed)); err != nil {
		t.Fatal(err)
	}
	look(true)
	if err := blobs.Delete(t.Context(), names[1]); err != nil {
		t.Fatal(err)
	}
	look(false)
}

// TestArchive: a recount of what is archived, and of what has left the raw store partly or
// wholly, says what one of the log says.
func TestArchive(t *testing.T) {
	t.Parallel()
	const hour = int64(time.Hour / time.Millisecond)
	for seed := range uint64(3) {
		in, rnd := history(seed), rand.New(rand.NewPCG(seed, 5))
		until := base + 2*hour
		open := archived(t, in, until)
		left := records{}
		for s, all := range in {
			n := rnd.IntN(len(all))
			for all[n].Append >= until && n > 0 {
				n--
			}
			left[s] = all[n:]
		}
		for range 4 {
			from := base + minute*rnd.Int64N(80)
			span := Range{from, from + 10*minute}
			want, report := count(t, in, span, rules(t))
			for name, k := range map[string]*Kept{
				"archive and raw store": {Raw: kept{in}, Archived: open, Log: in},
				"what raw store lacks":  {Raw: kept{left}, Archived: open, Log: in},
				"raw store":             {Raw: kept{in}, Log: in},
			} {
				got, report2 := count(t, k, span, rules(t))
				if !maps.Equal(got, want) || report2 != report || len(got) == 0 {
					t.Errorf("seed %d, %s: %+v, want %+v", seed, name, report2, report)
				}
			}
		}
		// Case: the archive alone, as far as it reaches.
		span := Range{base + 30*minute, base + 60*minute}
		want, _ := count(t, in, span, rules(t))
		if got, report := count(t, &Kept{Archived: open, Log: in}, span, rules(t)); !maps.Equal(got, want) || !report.Whole {
			t.Errorf("seed %d, archive: %+v", seed, report)
		}
	}
}

// TestKeptBounds: what is before a hole does not count.
func TestKeptBounds(t *testing.T) {
	t.Parallel()
	const hour = int64(time.Hour / time.Millisecond)
	s := click.Source{Topic: "clicks"}
	at := func(offsets ...int64) records {
		r := records{}
		for _, o := range offsets {
			r[s] = append(r[s], click.Record{Offset: o, Append: base + o*hour})
		}
		return r
	}
	for name, c := range map[string]struct {
		archive, raw records
		start, end   int64
	}{
		"archive":                {at(3, 4, 9), nil, 3, 10},
		"raw store":              {nil, at(3, 4, 9), 3, 10},
		"one after the other":    {at(3, 4), at(5, 9), 3, 10},
		"both":                   {at(3, 4, 9), at(4, 9, 12), 3, 13},
		"the raw store ends":     {at(3, 4, 9), at(4), 3, 10},
		"the raw store restored": {at(6, 9), at(3, 4), 6, 10},
		"a hole":                 {at(3, 4), at(7, 9), 7, 10},
		"a restored hole":        {at(3, 4), at(3, 7, 9), 7, 10},
		"nothing":                {nil, nil, 0, 0},
	} {
		k := &Kept{Log: records{}}
		if c.archive != nil {
			k.Archived = archived(t, c.archive, base+1000*hour)
		}
		if c.raw != nil {
			k.Raw = kept{c.raw}
		}
		if _, err := k.Sources(t.Context()); err != nil {
			t.Fatal(err)
		}
		start, end, err := k.Bounds(t.Context(), s)
		if err != nil || start != c.start || end != c.end {
			t.Errorf("%s: %d to %d, %v; want %d to %d", name, start, end, err, c.start, c.end)
		}
	}
}
