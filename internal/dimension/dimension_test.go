package dimension

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/storage"
)

func TestApply(t *testing.T) {
	t.Parallel()
	log := installation(t)
	// Case: where nothing was mapped yet, filters hold from the beginning of time.
	first := apply(t, log, set(one("kr", "a")))
	if !first.Changed || first.Before != nil || first.Now.From != 0 {
		t.Errorf("first: %+v", first)
	}
	// Case: the same again is not written.
	end := len(log.Records(topic, 0))
	if c := apply(t, log, set(one("kr", "a"))); c.Changed || !reflect.DeepEqual(c.Now, first.Now) || len(log.Records(topic, 0)) != end {
		t.Errorf("again: %+v", c)
	}
	// Case: others hold from the end of what is open.
	open(t, log, 5*minute)
	second := apply(t, log, set(one("kr", "b"), one("us", "c")))
	if !second.Changed || second.Before == nil || second.Before.Version != first.Now.Version || second.Now.From != 5*minute {
		t.Errorf("second: %+v", second)
	}
	// Case: no filters are a set too.
	if c := apply(t, log, set()); !c.Changed || len(c.Now.Filters) != 0 {
		t.Errorf("none: %+v", c)
	}
	// Case: there is no installation.
	empty := new(memory.Log)
	empty.Create(topic, 1)
	if _, err := Apply(t.Context(), empty, topic, set()); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "topic_prefix") {
		t.Errorf("no installation: %v", err)
	}
	if _, err := List(t.Context(), empty, topic); !errors.Is(err, ErrUsage) {
		t.Errorf("no installation: %v", err)
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	before, now := set(one("a", "1"), one("b", "1"), one("c", "1")), set(one("d", "1"), one("b", "2"), one("c", "1"))
	if d := Differences(&before, &now); !reflect.DeepEqual(d, Difference{Added: []string{"d"}, Removed: []string{"a"}, Changed: []string{"b"}}) {
		t.Errorf("%+v", d)
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	log := installation(t)
	a, b, b2, c := one("a", "1"), one("b", "1"), one("b", "2"), one("c", "1")
	apply(t, log, set(a, b)) // offset 2: the identity and what is open stand before it
	open(t, log, 2*minute)
	apply(t, log, set(a, b2, c)) // 4; it never holds
	apply(t, log, set(a, b2))    // 5
	open(t, log, 4*minute)
	apply(t, log, set(b2)) // 7
	row := func(f control.Filter, from, until, version int64) storage.Filter {
		return storage.Filter{ID: f.ID, Where: f.Where, From: from, Until: until, Version: version}
	}
	want := []storage.Filter{
		row(a, 0, 4*minute, 7), row(b, 0, 2*minute, 4), row(b2, 2*minute, click.None, 4), row(c, 2*minute, 2*minute, 5),
	}
	got := Rows(facts(t, log))
	slices.SortFunc(got, func(a, b storage.Filter) int { return strings.Compare(a.ID, b.ID)*4 + int(a.From-b.From)/minute })
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	list, err := List(t.Context(), log, topic)
	if err != nil || len(list) != 3 || list[0].ID != "a" || list[1].Where != "1" || list[2].Until != nil {
		t.Errorf("listed: %+v, %v", list, err)
	}
}

// A field that gets another type makes another filter of the same words.
func TestRowsOfOtherTypes(t *testing.T) {
	t.Parallel()
	log := installation(t)
	apply(t, log, control.NewFilterSet([]control.Filter{one("a", "age > 1")}, map[string]string{"age": "int"}))
	open(t, log, minute)
	apply(t, log, control.NewFilterSet([]control.Filter{one("a", "age > 1")}, map[string]string{"age": "float"}))
	if rows := Rows(facts(t, log)); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
}

// dimensionTable keeps the greatest version of each row, as every store does.
type dimensionTable struct {
	storage.FilterStore
	rows map[string]storage.Filter
	err  error
}

func (d *dimensionTable) PutFilters(_ context.Context, rows []storage.Filter) error {
	for _, r := range rows {
		key := r.ID + "/" + string(rune(r.From/minute+'0'))
		switch old, ok := d.rows[key]; {
		case !ok || r.Version > old.Version:
			d.rows[key] = r
		case r.Version == old.Version && r != old:
			return errors.New("one version of a row has two contents")
		}
	}
	return d.err
}

// Whoever stores what at which time, the table comes out as if all had been known at
// once.
func TestKeepInAnyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		log := installation(t)
		var seen []*control.Facts
		for i := range 12 {
			if random.IntN(2) == 0 {
				open(t, log, int64(i)*minute)
			}
			var filters []control.Filter
			for _, id := range []string{"a", "b", "c"} {
				if random.IntN(3) > 0 {
					filters = append(filters, one(id, string(rune('0'+random.IntN(2)))))
				}
			}
			apply(t, log, set(filters...))
			seen = append(seen, facts(t, log))
		}
		want := &dimensionTable{rows: map[string]storage.Filter{}}
		if err := Keep(t.Context(), want, seen[len(seen)-1]); err != nil {
			t.Fatal(err)
		}
		got := &dimensionTable{rows: map[string]storage.Filter{}}
		random.Shuffle(len(seen), func(i, j int) { seen[i], seen[j] = seen[j], seen[i] })
		for _, facts := range append(seen, seen[:3]...) {
			if err := Keep(t.Context(), got, facts); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if !reflect.DeepEqual(got.rows, want.rows) {
			t.Fatalf("seed %d: %+v\nwant %+v", seed, got.rows, want.rows)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := installation(t)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex // of the two below
		var heard []int
		var away error
		core, lines := observer.New(zap.WarnLevel)
		done := make(chan error, 1)
		go func() {
			done <- Follow(ctx, log, topic, *facts(t, log), stream.Wall{}, zap.New(core), func(_ context.Context, f *control.Facts) error {
				now, _ := f.Filters()
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, len(now.Filters))
				return away
			})
		}()
		pass := func(want ...int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(heard, want) {
				t.Errorf("heard %v, want %v", heard, want)
			}
			heard = nil
		}
		pass() // nothing was said
		apply(t, log, set(one("a", "1")))
		pass(1)
		open(t, log, minute)
		pass() // nothing new
		fail := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			away = err
		}
		fail(errors.New("away"))
		apply(t, log, set(one("a", "1"), one("b", "1")))
		pass(2)
		for _, err := range []error{errors.New("still away"), nil} { // until it is done
			fail(err)
			time.Sleep(followEvery)
			pass(2)
		}
		time.Sleep(3 * followEvery)
		pass()
		if lines.Len() != 1 {
			t.Errorf("%d lines", lines.Len())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPrint(t *testing.T) {
	t.Parallel()
	log := installation(t)
	list, err := List(t.Context(), log, topic)
	if err != nil {
		t.Fatal(err)
	}
	for asJSON, want := range map[bool]string{false: "clicks are counted by no filter\n", true: "[]\n"} {
		var b bytes.Buffer
		if err := Print(&b, list, asJSON); err != nil || b.String() != want {
			t.Errorf("%q, %v", b.String(), err)
		}
	}
	apply(t, log, set(control.Filter{ID: "kr", Name: "Korea\x1b", Where: `country == "KR" && x < 1`}))
	open(t, log, minute)
	apply(t, log, set(control.Filter{ID: "us", Name: "US", Where: "true"}))
	if list, err = List(t.Context(), log, topic); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	want := "" +
		"FILTER  NAME    CLICKS FROM           UNTIL                 WHERE\n" +
		"kr      Korea�  1970-01-01T00:00:00Z  1970-01-01T00:01:00Z  country == \"KR\" && x < 1\n" +
		"us      US      1970-01-01T00:01:00Z                        true\n"
	if err := Print(&b, list, false); err != nil || b.String() != want {
		t.Errorf("%s, %v", b.String(), err)
	}
	b.Reset()
	if err := Print(&b, list, true); err != nil || !strings.Contains(b.String(), `"where": "country == \"KR\" && x < 1"`) {
		t.Errorf("%s, %v", b.String(), err)
	}
}

func TestPrintChange(t *testing.T) {
	t.Parallel()
	log := installation(t)
	for _, c := range []struct {
		set  control.FilterSet
		want string
	}{
		{set(one("a", "1"), one("b", "1")), "added: a, b\n2 filters hold for clicks from 1970-01-01T00:00:00Z on\n"},
		{set(one("a", "1"), one("b", "1")), "these 2 filters hold already, for clicks from 1970-01-01T00:00:00Z on\n"},
		{set(one("a", "2"), one("c", "1")), "added: c\nchanged: a\nremoved: b\n2 filters hold for clicks from 1970-01-01T00:01:00Z on\n"},
	} {
		var b bytes.Buffer
		change := apply(t, log, c.set)
		if err := change.Print(&b); err != nil || b.String() != c.want {
			t.Errorf("%q, %v", b.String(), err)
		}
		open(t, log, minute)
	}
}
