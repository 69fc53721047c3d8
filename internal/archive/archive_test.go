package archive

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// TestRoundTrip: what was archived comes back byte for byte, from any offset to any other.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		raw, blobs := history(seed), newAttic()
		archiveAll(t, raw, blobs)
		r, rnd := reader(t, blobs), rand.New(rand.NewPCG(seed, 1))
		if sources, _ := raw.Sources(t.Context()); !slices.Equal(r.Sources(), sources) {
			t.Fatalf("%v", r.Sources())
		}
		for s, all := range raw {
			if len(r.Slices(s)) < 5 {
				t.Fatalf("only %d slices of %v", len(r.Slices(s)), s)
			}
			last := all[len(all)-1].Offset
			for i := range 40 {
				from, to := int64(0), last+1
				if i > 0 {
					from, to = rnd.Int64N(last+10)-5, rnd.Int64N(last+10)-5
				}
				var want []click.Record
				for _, rec := range all {
					if rec.Offset >= from && rec.Offset < to {
						want = append(want, rec)
					}
				}
				if got := read(t, r, s, from, to); !slices.EqualFunc(got, want, storagetest.SameRecord) {
					t.Fatalf("seed %d, %v from %d to %d: %d records, want %d", seed, s, from, to, len(got), len(want))
				}
			}
			for range 20 {
				at := base + rnd.Int64N(12*hour) - hour
				i := slices.IndexFunc(all, func(rec click.Record) bool { return rec.Append >= at })
				offset, ok, err := r.Since(t.Context(), s, at)
				if err != nil || ok != (i >= 0) || ok && offset != all[i].Offset {
					t.Fatalf("since %d: %d, %t, %v; want record %d", at-base, offset, ok, err, i)
				}
			}
		}
	}
}

// TestSameBytes: however far each run gets, names and bytes are the same in the end, and running again
// changes nothing.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		raw, once, often := history(seed), newAttic(), newAttic()
		archiveAll(t, raw, once)
		rnd := rand.New(rand.NewPCG(seed, 3))
		for s, all := range raw {
			for at := int64(base); at < base+15*hour; at += rnd.Int64N(2 * hour) {
				reach := Reach{Before: at, Until: all[rnd.IntN(len(all))].Offset + rnd.Int64N(2)}
				if _, err := archiver(t, raw, often).Source(t.Context(), s, reach, func(*Manifest) {}); err != nil {
					t.Fatal(err)
				}
			}
		}
		archiveAll(t, raw, often)
		puts := 0
		often.before = func(verb, _ string) error {
			if verb == "put" {
				puts++
			}
			return nil
		}
		archiveAll(t, raw, often)
		if puts > 0 || !maps.EqualFunc(once.blobs, often.blobs, bytes.Equal) {
			t.Errorf("seed %d: %d and %d blobs, %d written again", seed, len(once.blobs), len(often.blobs), puts)
		}
	}
}

// TestKilledAnywhere kills an archiver at each of its calls, before it had its effect or after. What can be read then is
// whole slices, and what the next one makes of it is what one makes that nobody kills.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	raw, whole := shelf{}, newAttic()
	src := source("clicks.eu", 0)
	raw[src] = history(1)[src][:300]
	archiveAll(t, raw, whole)
	steps := 0
	for kill, died := 0, true; died; kill++ {
		for _, effect := range []bool{false, true} {
			blobs, calls := newAttic(), 0
			died = false
			hit := func(after bool) func(string, string) error {
				return func(string, string) error {
					if died || after == effect && calls == kill {
						died = true
						return errKilled
					}
					if after {
						calls++
					}
					return nil
				}
			}
			blobs.before, blobs.after = hit(false), hit(true)
			until, err := archiver(t, raw, blobs).Source(t.Context(), src, far, func(*Manifest) {})
			if died != errors.Is(err, errKilled) {
				t.Fatalf("call %d: %v", kill, err)
			}
			blobs.before, blobs.after = nil, nil
			r := reader(t, blobs)
			got := read(t, r, src, 0, 1<<60)
			if n := len(got); !slices.EqualFunc(got, raw[src][:n], storagetest.SameRecord) || n > 0 && got[n-1].Offset+1 < until {
				t.Fatalf("killed at call %d: %d records are archived, and it said up to %d", kill, n, until)
			}
			if n := len(got); n > 0 && n < len(raw[src]) {
				steps++
			}
			archiveAll(t, raw, blobs)
			if !maps.EqualFunc(blobs.blobs, whole.blobs, bytes.Equal) {
				t.Fatalf("killed at call %d: %d blobs in the end, want %d", kill, len(blobs.blobs), len(whole.blobs))
			}
		}
	}
	if steps < 3 {
		t.Errorf("only %d times something and not all was archived", steps)
	}
}

// TestYoung: what is not old enough, or may go on, stays.
func TestYoung(t *testing.T) {
	t.Parallel()
	src := source("clicks", 0)
	raw := shelf{src: {{Offset: 4, Append: base}, {Offset: 5, Append: base + hour - 1}, {Offset: 9, Append: base + hour}}}
	for name, c := range map[string]struct {
		reach Reach
		want  int64
	}{
		"nothing is old":               {Reach{Before: base + hour - 1, Until: 10, Whole: true}, 0},
		"the hour may go on":           {Reach{Before: base + 9*hour, Until: 6}, 0},
		"the hour has ended":           {Reach{Before: base + 9*hour, Until: 6, Whole: true}, 6},
		"a later one is there":         {Reach{Before: base + hour, Until: 10}, 6},
		"the raw store may lag behind": {Reach{Before: base + 9*hour, Until: 10}, 6},
		"all is old":                   {Reach{Before: base + 2*hour, Until: 10, Whole: true}, 10},
	} {
		blobs := newAttic()
		if until, err := archiver(t, raw, blobs).Source(t.Context(), src, c.reach, func(*Manifest) {}); err != nil || until != c.want {
			t.Errorf("%s: archived up to %d, %v; want %d", name, until, err, c.want)
		}
		if got := read(t, reader(t, blobs), src, 0, 100); (len(got) > 0) != (c.want > 0) || len(got) > 0 && got[len(got)-1].Offset+1 != c.want {
			t.Errorf("%s: %d records", name, len(got))
		}
	}
}

// TestHole: offsets that were gone before they were archived are told from those that never had a record.
func TestHole(t *testing.T) {
	t.Parallel()
	src := source("clicks", 0)
	for name, c := range map[string]struct {
		gone int // records at the beginning of the raw store
		hole int64
	}{"all are there": {0, 0}, "the last that was archived is there": {1, 0}, "it has gone, nothing else is known to": {2, 4}, "another has gone": {3, 6}} {
		raw := shelf{src: {{Offset: 0, Append: base}, {Offset: 1, Append: base}}}
		blobs := newAttic()
		archiveAll(t, raw, blobs)
		raw[src] = append(raw[src], click.Record{Offset: 6, Append: base + hour}, click.Record{Offset: 8, Append: base + hour})[c.gone:]
		var holes []int64
		if _, err := archiver(t, raw, blobs).Source(t.Context(), src, far, func(m *Manifest) { holes = append(holes, m.Hole) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(holes, []int64{c.hole}) {
			t.Errorf("%s: holes %v", name, holes)
		}
	}
}

// TestReadBack: what was not written as it should is not taken for archived.
func TestReadBack(t *testing.T) {
	t.Parallel()
	src := source("clicks", 0)
	raw := shelf{src: {{Offset: 0, Append: base, Value: []byte("v")}}}
	blobs := newAttic()
	blobs.after = func(verb, name string) error {
		if verb == "put" && strings.HasPrefix(name, "date=") {
			blobs.blobs[name][len(blobs.blobs[name])-1] ^= 1
		}
		return nil
	}
	if _, err := archiver(t, raw, blobs).Source(t.Context(), src, far, func(*Manifest) {}); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if all, _, err := List(t.Context(), blobs); err != nil || len(all) > 0 {
		t.Error(all, err)
	}
}

// TestColumns: other programs see a table of clicks, sorted in each row group, and the records beside them.
func TestColumns(t *testing.T) {
	t.Parallel()
	src := source("clicks", 3)
	raw := shelf{src: {
		{Offset: 10, Append: base + 5, Value: []byte(`{"event_id":"e1","ad_id":"b","ts":1764000000002,"country":"KR","device":"m","user_agent":"u","ip":"::1"}`)},
		{Offset: 11, Append: base + 6, Value: []byte("garbage")},
		{Offset: 12, Append: base + 7, Value: []byte(`{"event_id":"e2","ad_id":"a","ts":1764000000002,"country":7}`), Key: []byte{}},
		{Offset: 13, Append: base + 8},
		{Offset: 14, Append: base + 9, Value: []byte(`{"event_id":"e3","ad_id":"c","ts":1764000000001,"device":"\u00e9"}`), Headers: click.MakeHeaders([]click.Header{{Key: "h"}})},
	}}
	blobs := newAttic()
	archiveAll(t, raw, blobs)
	const file = "date=2025-11-24/hour=16/clicks.00000000000000000000000000000007.3.0000000000000000010-0000000000000000015.parquet"
	data, ok := blobs.blobs[file]
	if !ok {
		t.Fatalf("%v", slices.Collect(maps.Keys(blobs.blobs)))
	}
	rows, err := parquet.Read[row](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprintf("%s %s %d %d %s %s %s %s %s %s %d %d %q %q %d", r.EventID, r.AdID, max(r.EventTime-base, 0), r.AppendTime-base, r.Country, r.Device,
			r.UserAgent, r.IP, r.Topic, r.TopicID[28:], r.Partition, r.Offset, r.Key, r.Value[:min(7, len(r.Value))], r.HeaderNum))
	}
	want := []string{
		"e3 c 1 9  é   clicks 0007 3 14 \"\" \"{\\\"event\" 1",
		"e2 a 2 7     clicks 0007 3 12 \"\" \"{\\\"event\" 0",
		"e1 b 2 5 KR m u ::1 clicks 0007 3 10 \"\" \"{\\\"event\" 0",
		"  0 6     clicks 0007 3 11 \"\" \"garbage\" 0",
		"  0 8     clicks 0007 3 13 \"\" \"\" 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	m, err := load(t.Context(), blobs, Slice{src, 10, 15})
	if err != nil || m.Records != 5 || m.Clicks != 3 || *m.Clicked != (Times{base + 1, base + 2}) || m.Received != (Times{base + 5, base + 9}) || m.File != file {
		t.Errorf("%+v, %v", m, err)
	}
}
