package control

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

func set(ids ...string) FilterSet {
	var list []Filter
	for _, id := range ids {
		list = append(list, Filter{ID: id, Name: "the " + id, Where: `country == "` + id + `"`})
	}
	return NewFilterSet(list, map[string]string{"age": "int"})
}

// A set holds from the end of what was opened before it, whoever reads how much of the
// topic at once, and until the end of what was opened before the next.
func TestFilters(t *testing.T) {
	t.Parallel()
	type span struct {
		from, until int64
		ids         string
	}
	const end = click.None
	for name, c := range map[string]struct {
		facts []any // int64 opens up to there, FilterSet is a set
		spans []span
	}{
		"nothing is open yet":         {facts: []any{set("a")}},
		"from the very beginning":     {[]any{int64(0), set("a")}, []span{{0, end, "a"}}},
		"from what is open":           {[]any{int64(120), set("a"), int64(180)}, []span{{120, end, "a"}}},
		"from the next window":        {[]any{int64(121), set("a")}, []span{{180, end, "a"}}},
		"an older opening comes late": {[]any{int64(120), int64(60), set("a")}, []span{{120, end, "a"}}},
		"said twice":                  {[]any{int64(60), set("b", "a"), int64(120), set("a", "b")}, []span{{60, end, "a b"}}},
		"another":                     {[]any{int64(60), set("a"), int64(120), set("a", "b")}, []span{{60, 120, "a"}, {120, end, "a b"}}},
		"none":                        {[]any{int64(60), set("a"), int64(120), set()}, []span{{60, 120, "a"}, {120, end, ""}}},
		"none at first":               {[]any{int64(60), set()}, []span{{60, end, ""}}},
		"another before it held":      {[]any{int64(60), set("a"), set("b")}, []span{{60, 60, "a"}, {60, end, "b"}}},
		"taken back before it held":   {[]any{int64(0), set("a"), int64(60), set("b"), set("a")}, []span{{0, 60, "a"}, {60, 60, "b"}, {60, end, "a"}}},
	} {
		log, ctx := settled(t), t.Context()
		steps, err := Load(ctx, log, topic)
		if err != nil {
			t.Fatal(err)
		}
		for _, fact := range c.facts {
			switch fact := fact.(type) {
			case int64:
				err = Open(ctx, log, topic, fact)
			case FilterSet:
				err = NoteFilters(ctx, log, topic, fact)
			}
			if err != nil {
				t.Fatal(err)
			}
			before := steps.FilterSpans(click.None)
			was := slices.Clone(before)
			if steps, err = Refresh(ctx, log, topic, steps); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(before, was) {
				t.Errorf("%s: what was read before has changed", name)
			}
		}
		whole, err := Load(ctx, log, topic)
		if err != nil {
			t.Fatal(err)
		}
		for how, f := range map[string]*Facts{"step by step": &steps, "at once": &whole} {
			var got []span
			records := log.Records(topic, 0)
			for _, s := range f.FilterSpans(click.None) {
				var ids []string
				for _, one := range s.Filters {
					ids = append(ids, one.ID)
				}
				got = append(got, span{s.From, s.Until, strings.Join(ids, " ")})
				if r := records[s.Version]; string(r.Key) != keyFilters || r.Append != s.Since {
					t.Errorf("%s, read %s: said at offset %d, %d", name, how, s.Version, s.Since)
				}
			}
			if !slices.Equal(got, c.spans) {
				t.Errorf("%s, read %s: %v, want %v", name, how, got, c.spans)
			}
			now, said := f.Filters()
			if said != (len(c.spans) > 0) || said && now.Until != end {
				t.Errorf("%s, read %s: now %+v, %v", name, how, now, said)
			}
		}
	}
}

// Sets that hold no more are left out, so that what is kept of history does not grow
// what a mapper looks through.
func TestFilterSpansAfter(t *testing.T) {
	t.Parallel()
	log, ctx := settled(t), t.Context()
	for i, ids := range []string{"a", "b", "c"} {
		if err := Open(ctx, log, topic, int64(i+1)*60); err != nil {
			t.Fatal(err)
		}
		if err := NoteFilters(ctx, log, topic, set(ids)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Load(ctx, log, topic)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[int64]int{click.None: 3, 0: 3, 119: 3, 120: 2, 179: 2, 180: 1, 1 << 50: 1} {
		if got := f.FilterSpans(after); len(got) != want {
			t.Errorf("after %d: %v", after, got)
		}
	}
}

// A set is known by what it says, all of it.
func TestFilterSetFingerprint(t *testing.T) {
	t.Parallel()
	one := NewFilterSet([]Filter{{"a", "b", "c"}}, nil)
	seen := map[string]FilterSet{one.Fingerprint(): one}
	for _, s := range []FilterSet{
		NewFilterSet(nil, nil),
		NewFilterSet([]Filter{{"ab", "", "c"}}, nil),
		NewFilterSet([]Filter{{"a", "b", "d"}}, nil),
		NewFilterSet([]Filter{{"a", "c", "c"}}, nil),
		NewFilterSet([]Filter{{"a", "b", "c"}}, map[string]string{"x": "int"}),
		NewFilterSet([]Filter{{"a", "b", "c"}}, map[string]string{"x": "string"}),
	} {
		if other, ok := seen[s.Fingerprint()]; ok {
			t.Errorf("%+v and %+v have one fingerprint", s, other)
		}
		seen[s.Fingerprint()] = s
	}
	ab, ba := set("a", "b"), set("b", "a")
	if ab.Fingerprint() != ba.Fingerprint() {
		t.Error("the order in which filters are written makes another set")
	}
}

func TestBadFilterRecords(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]int{"after the identity": 1, "before it": 0} {
		log, value := newLog(), `{"filters":[]}`
		if before == 1 {
			log, value = settled(t), `{"filters":{}}`
		}
		if err := log.Append(t.Context(), topic, []stream.Message{{Key: []byte(keyFilters), Value: []byte(value)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(t.Context(), log, topic); err == nil || !strings.Contains(err.Error(), "filters record") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFilterSetCompiles(t *testing.T) {
	t.Parallel()
	s := set("kr", "de")
	compiled, err := s.Compile()
	if err != nil || !slices.Equal(compiled.IDs(), []string{"de", "kr"}) {
		t.Errorf("%v, %v", compiled, err)
	}
	for _, bad := range []FilterSet{
		NewFilterSet([]Filter{{"a", "", "country ="}}, nil),
		NewFilterSet([]Filter{{"a", "", "age > 1"}}, map[string]string{"age": "number"}),
		NewFilterSet([]Filter{{"a", "", "age > 1"}}, map[string]string{"age": "string"}),
	} {
		if _, err := bad.Compile(); err == nil {
			t.Errorf("%+v compiles", bad)
		}
	}
}
