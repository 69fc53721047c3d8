package storagetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// OpenRaw makes an empty raw store for one test. Reopen ends the use of what was
// opened last, in whatever way, and opens the same content again; what Put stored
// before must be there. Close ends the use of what was opened last.
type OpenRaw func(t *testing.T) (store storage.RawStore, reopen func() storage.RawStore, close func() error)

// RunRaw holds a backend to the promises that every storage.RawStore keeps.
func RunRaw(t *testing.T, open OpenRaw) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *rawFixture)
	}{
		{"an empty store has nothing", rawEmpty},
		{"records come back byte for byte", rawBytes},
		{"sources are apart", rawSources},
		{"ranges are half open", rawRanges},
		{"storing again changes nothing", rawAgain},
		{"a read stops when told", rawStops},
		{"what is no record is refused", rawInvalid},
		{"a closed store refuses", rawClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, reopen, end := open(t)
			c.test(t, &rawFixture{t: t, store: store, reopen: reopen, close: end})
		})
	}
}

type rawFixture struct {
	t      *testing.T
	store  storage.RawStore
	reopen func() storage.RawStore
	close  func() error
}

func (f *rawFixture) put(s click.Source, records ...click.Record) {
	f.t.Helper()
	if err := f.store.Put(f.t.Context(), s, records); err != nil {
		f.t.Fatalf("put: %v", err)
	}
}

func (f *rawFixture) read(s click.Source, from, to int64) (out []click.Record) {
	f.t.Helper()
	err := f.store.Read(f.t.Context(), s, from, to, func(r *click.Record) error {
		kept := *r
		kept.Key, kept.Value, kept.Headers.Raw = bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.Headers.Raw)
		out = append(out, kept)
		return nil
	})
	if err != nil {
		f.t.Fatalf("read %v from %d to %d: %v", s, from, to, err)
	}
	return out
}

// want compares everything of a source.
func (f *rawFixture) want(s click.Source, want ...click.Record) {
	f.t.Helper()
	f.wantRange(s, math.MinInt64, math.MaxInt64, want...)
}

func (f *rawFixture) wantRange(s click.Source, from, to int64, want ...click.Record) {
	f.t.Helper()
	if got := f.read(s, from, to); !slices.EqualFunc(got, want, SameRecord) {
		f.t.Fatalf("%v from %d to %d is\n%+v\nwant\n%+v", s, from, to, got, want)
	}
}

// SameRecord tells whether two records are the same to the byte, absent ones and
// empty ones told apart.
func SameRecord(a, b click.Record) bool {
	same := func(x, y []byte) bool { return bytes.Equal(x, y) && (x == nil) == (y == nil) }
	return a.Offset == b.Offset && a.Append == b.Append && same(a.Key, b.Key) && same(a.Value, b.Value) &&
		a.Headers.Count == b.Headers.Count && bytes.Equal(a.Headers.Raw, b.Headers.Raw)
}

func source(topic string, id byte, partition int32) click.Source {
	return click.Source{Topic: topic, ID: click.TopicID{15: id}, Partition: partition}
}

// raw is a record that differs from those of other offsets.
func raw(offset int64) click.Record {
	return click.Record{
		Offset: offset, Append: 1_700_000_000_000 + offset, Key: []byte{byte(offset)}, Value: []byte{byte(offset >> 8), 'v'},
	}
}

func rawEmpty(t *testing.T, f *rawFixture) {
	for range 2 {
		f.want(source("clicks", 1, 0))
		if got, err := f.store.Sources(t.Context()); err != nil || len(got) > 0 {
			t.Fatalf("%v, %v", got, err)
		}
		f.put(source("clicks", 1, 0))
		f.store = f.reopen()
	}
}

func rawBytes(t *testing.T, f *rawFixture) {
	s := source("clicks", 1, 0)
	many := make([]click.Header, 300)
	for i := range many {
		many[i] = click.Header{Key: "k", Value: bytes.Repeat([]byte{byte(i)}, i)}
	}
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	records := []click.Record{
		{Offset: 0, Append: 1},
		{Offset: 1, Append: 1_700_000_000_000, Key: []byte{}, Value: []byte{}},
		{Offset: 2, Append: 1_700_000_000_000, Key: all, Value: []byte("\x00{\xff garbage")},
		{Offset: 3, Append: 0, Value: []byte("v"), Headers: click.MakeHeaders([]click.Header{{Key: "null"}, {Key: "", Value: []byte{}}, {Key: "null", Value: all}})},
		{Offset: 7, Append: 1_600_000_000_000, Key: []byte("k"), Headers: click.MakeHeaders(many)},
		{Offset: 1 << 40, Append: 4_000_000_000_000, Value: bytes.Repeat([]byte("large "), 200_000)},
	}
	f.put(s, records...)
	f.want(s, records...)
	f.store = f.reopen()
	f.want(s, records...)
}

func rawSources(t *testing.T, f *rawFixture) {
	sources := []click.Source{
		source("a", 2, 0), source("b", 1, 0), source("b", 1, 1), source("b", 1, 300), source("b", 2, 0), source("b-b", 1, 0),
	}
	for i, s := range slices.Backward(sources) {
		f.put(s, raw(int64(i)), raw(1_000_000))
	}
	f.store = f.reopen()
	got, err := f.store.Sources(t.Context())
	if err != nil || !slices.Equal(got, sources) {
		t.Fatalf("%v, %v", got, err)
	}
	for i, s := range sources {
		f.want(s, raw(int64(i)), raw(1_000_000))
	}
	f.want(source("b", 3, 0))
}

func rawRanges(_ *testing.T, f *rawFixture) {
	s := source("clicks", 1, 3)
	var records []click.Record
	for offset := int64(0); offset < 30_000; offset += 7 {
		records = append(records, raw(offset))
	}
	for part := range slices.Chunk(records, 1_000) {
		f.put(s, part...)
	}
	f.want(s, records...)
	for _, r := range [][2]int64{{0, 1}, {1, 7}, {7, 8}, {7, 15}, {8190, 8198}, {-5, 20_000}, {29_990, math.MaxInt64}, {8, 8}, {9, 3}} {
		var want []click.Record
		for _, rec := range records {
			if rec.Offset >= r[0] && rec.Offset < r[1] {
				want = append(want, rec)
			}
		}
		f.wantRange(s, r[0], r[1], want...)
	}
}

func rawAgain(_ *testing.T, f *rawFixture) {
	s := source("clicks", 1, 0)
	f.put(s, raw(1), raw(2), raw(3))
	f.put(s, raw(2), raw(3), raw(4))
	f.store = f.reopen()
	f.put(s, raw(1))
	f.want(s, raw(1), raw(2), raw(3), raw(4))
}

func rawStops(t *testing.T, f *rawFixture) {
	s := source("clicks", 1, 0)
	f.put(s, raw(1), raw(2), raw(3))
	enough := errors.New("enough")
	seen := 0
	err := f.store.Read(t.Context(), s, 0, 10, func(*click.Record) error {
		if seen++; seen == 2 {
			return enough
		}
		return nil
	})
	if err != enough || seen != 2 {
		t.Errorf("%v after %d", err, seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.store.Read(ctx, s, 0, 10, func(*click.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("for a caller that has gone: %v", err)
	}
}

func rawInvalid(t *testing.T, f *rawFixture) {
	s := source("clicks", 1, 0)
	cut := raw(0)
	cut.Headers = click.Headers{Raw: []byte{200}, Count: 1}
	for name, c := range map[string]struct {
		s click.Source
		r click.Record
	}{
		"a negative offset":    {s, raw(-1)},
		"a negative partition": {source("clicks", 1, -1), raw(1)},
		"no topic":             {source("", 1, 0), raw(1)},
	} {
		if err := f.store.Put(t.Context(), c.s, []click.Record{c.r}); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.want(s)
	// Headers that cannot be read are a producer's fault: they are kept as they came.
	f.put(s, cut)
	f.want(s, cut)
}

func rawClosed(t *testing.T, f *rawFixture) {
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	s := source("clicks", 1, 0)
	errs := map[string]error{
		"put":  f.store.Put(ctx, s, []click.Record{raw(1)}),
		"read": f.store.Read(ctx, s, 0, 1, func(*click.Record) error { return nil }),
	}
	_, errs["sources"] = f.store.Sources(ctx)
	for call, err := range errs {
		if err == nil {
			t.Errorf("%s worked", call)
		}
	}
}
