package copies

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
	size   = 4 * hour // of what is closed
)

// world is a store that keeps counts twice.
type world struct {
	testing.TB
	*storagetest.Twofold
}

func newWorld(t testing.TB) *world {
	t.Helper()
	open := func() storage.Store {
		s, err := embedded.Open(t.TempDir(), embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	w := &world{t, &storagetest.Twofold{Store: open(), ByAd: open()}}
	t.Cleanup(func() { _ = w.Close() })
	w.apply(w, storage.Batch{Marks: []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: size, Closed: size}}})
	return w
}

func (w *world) apply(s storage.Store, b storage.Batch) {
	w.Helper()
	if err := s.Apply(w.Context(), &b); err != nil {
		w.Fatal(err)
	}
}

func row(series string, start int64, ad string, count int64, digest uint64, version int64) click.Result {
	r := click.Result{
		Ad: []byte(ad), Start: start, Size: minute, Filter: series, Count: count, Digest: digest, Revision: 1, State: click.Final, Version: version,
	}
	if u, _ := storage.UnitOf(series); u == storage.Hour {
		r.Size = hour
	}
	return r
}

// whole is what is read of a count; of none, nothing.
func whole(r click.Result) click.Count {
	if r.Count == 0 {
		return click.Count{}
	}
	return click.Count{Sum: r.Sum(), Standing: click.Standing{State: r.State, Revision: r.Revision}}
}

func (w *world) find(from, to int64) Found {
	w.Helper()
	found, err := Find(w.Context(), w.Twofold, from, to, func() error { return nil })
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// TestFind spoils random counts in either copy, and demands that these are found and no other.
func TestFind(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		series := []string{"000", "de", "000/1h", "de/1h"}
		type name struct {
			Part
			ad string
		}
		rows := map[name]click.Result{}
		var b storage.Batch
		for _, s := range series {
			for start := int64(0); start < size; start += hour {
				for i := range 20 {
					r := row(s, start, fmt.Sprint("ad-", i), 1+rng.Int64N(3), rng.Uint64N(3), 1)
					if rng.IntN(3) > 0 {
						b.Results = append(b.Results, r)
						rows[name{Part{start, s}, string(r.Ad)}] = r
					}
				}
				if u, _ := storage.UnitOf(s); u == storage.Hour {
					b.Rankings = append(b.Rankings, click.Ranking{Start: start, Size: hour, Filter: s, State: click.Final, Revision: 1, Version: 1})
				}
			}
		}
		w.apply(w, b)
		if found := w.find(0, size); len(found.Odd)+len(found.Rest)+len(found.Moving) > 0 {
			t.Fatalf("seed %d: nothing is wrong, and there is %+v", seed, found)
		}
		want := map[Part][]Odd{}
		spoilt := map[name]bool{}
		for range 1 + rng.IntN(8) {
			n := name{Part{rng.Int64N(size/hour) * hour, series[rng.IntN(len(series))]}, fmt.Sprint("ad-", rng.IntN(20))}
			if spoilt[n] {
				continue
			}
			spoilt[n] = true
			old := rows[n]
			o := Odd{n.ad, whole(old), whole(old)}
			now := row(n.Series, n.Start, n.ad, rng.Int64N(4), rng.Uint64N(4), 2)
			if rng.IntN(2) == 0 { // the same clicks
				now.Count, now.Digest = old.Count, old.Digest
			}
			if now.Count == 0 {
				now.Digest = 0
			} else {
				now.State, now.Revision = click.Provisional+click.State(rng.IntN(3)), 1+rng.Int64N(2)
			}
			if whole(now) == whole(old) {
				continue
			}
			if rng.IntN(2) == 0 {
				w.apply(w.ByAd, storage.Batch{Results: []click.Result{now}})
				o.ByAd = whole(now)
			} else {
				w.apply(w.Store, storage.Batch{Results: []click.Result{now}})
				o.ByWindow = whole(now)
			}
			want[n.Part] = append(want[n.Part], o)
		}
		for _, list := range want {
			slices.SortFunc(list, func(a, b Odd) int { return strings.Compare(a.Ad, b.Ad) })
		}
		if found := w.find(0, size); !reflect.DeepEqual(found.Odd, want) && len(found.Odd)+len(want) > 0 {
			t.Fatalf("seed %d: %+v, want %+v", seed, found, want)
		}
		if found := w.find(0, hour); slices.ContainsFunc(found.Parts(), func(p Part) bool { return p.Start != 0 }) {
			t.Fatalf("seed %d: %+v lies outside of the range", seed, found)
		}
	}
}

// TestClosed: what may change by itself is not looked at, nor an hour that is not answered from.
func TestClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(w.ByAd, storage.Batch{Results: []click.Result{row("000", size, "a", 1, 1, 1), row("000/1h", 0, "a", 1, 1, 1), row("000/1h", hour, "a", 1, 1, 1)}})
	list := click.Ranking{Start: hour, Size: hour, Filter: "000/1h", State: click.Final, Revision: 1, Version: 1}
	w.apply(w, storage.Batch{Rankings: []click.Ranking{list}, Touches: []storage.Touch{{Hour: hour, Offset: 5}}})
	if found := w.find(0, 2*size); len(found.Odd)+len(found.Rest)+len(found.Moving) > 0 {
		t.Errorf("%+v", found)
	}
	list.Version = 1 + 2*5 + 1 // added up again since then
	w.apply(w, storage.Batch{Results: []click.Result{row("000", 0, "a", 1, 1, 1)}, Rankings: []click.Ranking{list}})
	if found := w.find(0, 2*size); !reflect.DeepEqual(found.Odd, map[Part][]Odd{{hour, "000/1h"}: {{"a", whole(row("000", 0, "a", 1, 1, 1)), click.Count{}}}}) {
		t.Errorf("%+v", found)
	}
}

// busy is a store in which something happens before counts are read the second time.
type busy struct {
	*world
	between func()
	n       int
}

func (b *busy) Copies(ctx context.Context, from, to int64, f func(series string, c *storage.Cell) error) (bool, error) {
	if b.n++; b.n == 3 {
		b.between()
	}
	return b.Twofold.Copies(ctx, from, to, f)
}

// TestMoving: what is being changed is told apart; what was put right before it was looked at closely is nothing.
func TestMoving(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		between func(w *world)
		want    Found
	}{
		"nothing": {func(*world) {}, Found{Odd: map[Part][]Odd{{0, "000"}: {{"a", whole(row("000", 0, "a", 1, 1, 1)), click.Count{}}}}}},
		"a writer": {func(w *world) { w.apply(w, storage.Batch{Touches: []storage.Touch{{Offset: 1}}}) },
			Found{Odd: map[Part][]Odd{}, Moving: []Part{{0, "000"}}}},
		"a writer elsewhere": {func(w *world) { w.apply(w, storage.Batch{Touches: []storage.Touch{{Hour: hour, Offset: 1}}}) },
			Found{Odd: map[Part][]Odd{{0, "000"}: {{"a", whole(row("000", 0, "a", 1, 1, 1)), click.Count{}}}}}},
		"it is put right": {func(w *world) { w.apply(w, storage.Batch{Results: []click.Result{row("000", 0, "a", 1, 1, 1)}}) },
			Found{Odd: map[Part][]Odd{}}},
	} {
		w := newWorld(t)
		w.apply(w.ByAd, storage.Batch{Results: []click.Result{row("000", 0, "a", 1, 1, 1)}})
		found, err := Find(t.Context(), &busy{world: w, between: func() { c.between(w) }}, 0, size, func() error { return nil })
		if err != nil || !reflect.DeepEqual(found, c.want) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

// open is a store in which a writer broke off.
type open struct{ storage.Store }

func (open) Touches(context.Context, int64, int64) ([]storage.Touch, error) {
	return []storage.Touch{{Offset: 1, Open: true}}, nil
}

// TestOpen: what a writer may not have stored whole is told apart; an hour of it is not answered from.
func TestOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list := click.Ranking{Size: hour, Filter: "000/1h", State: click.Final, Revision: 1, Version: 3}
	w.apply(w, storage.Batch{Rankings: []click.Ranking{list}})
	w.apply(w.ByAd, storage.Batch{Results: []click.Result{row("000", 0, "a", 1, 1, 1), row("000/1h", 0, "a", 1, 1, 1)}})
	found, err := Find(t.Context(), open{w.Twofold}, 0, size, func() error { return nil })
	if err != nil || len(found.Odd)+len(found.Rest) > 0 || !slices.Equal(found.Moving, []Part{{0, "000"}}) {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestOneSide: windows and hours of which one copy has nothing at all.
func TestOneSide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for start := int64(0); start < 2*hour; start += hour {
		list := click.Ranking{Start: start, Size: hour, Filter: "de/1h", State: click.Final, Revision: 1, Version: 1}
		w.apply(w, storage.Batch{Rankings: []click.Ranking{list}, Results: []click.Result{row("000", 0, "b", 1, 1, 1), row("de", hour, "b", 1, 1, 1)}})
	}
	w.apply(w.Store, storage.Batch{Results: []click.Result{row("de", 0, "a", 1, 1, 1), row("de/1h", 0, "a", 1, 1, 1)}})
	w.apply(w.ByAd, storage.Batch{Results: []click.Result{row("de", minute, "a", 1, 1, 1), row("de/1h", hour, "a", 1, 1, 1)}})
	if found := w.find(0, size); !slices.Equal(found.Parts(), []Part{{0, "de"}, {0, "de/1h"}, {minute, "de"}, {hour, "de/1h"}}) {
		t.Errorf("%+v", found)
	}
}

// TestMany: of very many counts, those of the first windows are looked into and the others are named.
func TestMany(t *testing.T) {
	t.Parallel()
	parts := []Part{{0, "000"}, {0, "de"}, {minute, "000"}, {2 * minute, "000"}}
	f := finder{sums: map[Part]sum{parts[0]: {1, cellsMost / 2}, parts[1]: {1, cellsMost / 2}, parts[2]: {1, 1}, parts[3]: {1, 0}}}
	if some, rest := f.share(parts); !slices.Equal(some, parts[:2]) || !slices.Equal(rest, parts[2:]) {
		t.Errorf("%v, and left are %v", some, rest)
	}
	f.sums[parts[0]] = sum{1, 3 * cellsMost} // of one window any number
	if some, rest := f.share(parts); !slices.Equal(some, parts[:1]) || len(rest) != 3 {
		t.Errorf("%v, and left are %v", some, rest)
	}
	if some, rest := f.share(nil); len(some)+len(rest) > 0 {
		t.Error(some, rest)
	}
}

// TestStops: whoever has enough is not kept, and of one copy there is nothing to find.
func TestStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(w.ByAd, storage.Batch{Results: []click.Result{row("000", 0, "a", 1, 1, 1)}})
	enough := errors.New("enough")
	if _, err := Find(t.Context(), w.Twofold, 0, size, func() error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	if found, err := Find(t.Context(), w.Store, 0, size, func() error { return enough }); err != nil || len(slices.Collect(maps.Keys(found.Odd))) > 0 {
		t.Error(found, err)
	}
}
