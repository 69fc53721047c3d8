package rule

import (
	"fmt"
	"maps"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
)

func filters(t *testing.T, where ...string) *filter.Set {
	t.Helper()
	var defs []filter.Definition
	for i, w := range where {
		defs = append(defs, filter.Definition{ID: fmt.Sprintf("%02d", i), Where: w})
	}
	s, err := filter.NewSet(defs, filter.Types{"n": filter.Int, "x": filter.Float, "b": filter.Bool, "note": filter.String})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMask reads every type of field, from records in every mode.
func TestMask(t *testing.T) {
	t.Parallel()
	structured := click.Header{Key: "content-type", Value: []byte("application/cloudevents+json")}
	for _, c := range []struct {
		name, rest, where string
		want              bool
	}{
		{name: "text", rest: `"country":"KR"`, where: `country == "KR"`, want: true},
		{name: "wide text", rest: `"note":"é"`, where: `note == "é"`, want: true},
		{name: "text with escapes", rest: `"note":"a\u00e9\n"`, where: `note == "aé\n"`, want: true},
		{name: "half a surrogate pair", rest: `"note":"\ud800"`, where: `note == nil`, want: true},
		{name: "another key by case", rest: `"Country":"KR"`, where: `country == nil`, want: true},
		{name: "key with escapes", rest: `"\u0063ountry":"KR"`, where: `country == "KR"`, want: true},
		{name: "null", rest: `"country":null`, where: `country == nil`, want: true},
		{name: "number for text", rest: `"country":7`, where: `country == nil`, want: true},
		{name: "object for text", rest: `"country":{"country":"KR"}`, where: `country == nil`, want: true},
		{name: "within another", rest: `"n":{"country":"KR"}`, where: `country == nil and n == nil`, want: true},
		{name: "int", rest: `"n":-17`, where: `n == -17`, want: true},
		{name: "great int", rest: `"n":9223372036854775807`, where: `n == 9223372036854775807`, want: true},
		{name: "too great an int", rest: `"n":9223372036854775808`, where: `n == nil`, want: true},
		{name: "fraction for an int", rest: `"n":1.0`, where: `n == nil`, want: true},
		{name: "text for an int", rest: `"n":"1"`, where: `n == nil`, want: true},
		{name: "float", rest: `"x":-2.5e1`, where: `x == -25`, want: true},
		{name: "int for a float", rest: `"x":3`, where: `x == 3`, want: true},
		{name: "too great a float", rest: `"x":1e999`, where: `x == nil`, want: true},
		{name: "text for a float", rest: `"x":"1"`, where: `x == nil`, want: true},
		{name: "true", rest: `"b":true`, where: `b`, want: true},
		{name: "false", rest: `"b":false`, where: `b == false`, want: true},
		{name: "text for a bool", rest: `"b":"true"`, where: `b == nil`, want: true},
		{name: "the click's own", rest: `"n":1`, where: `ad_id == "a" and event_id == "e" and ts == 1764000000000`, want: true},
		{name: "not", rest: `"country":"US"`, where: `country == "KR"`},
	} {
		value := `{"event_id":"e","ad_id":"a","ts":1764000000000,` + c.rest + `}`
		check(t, c.name, value, c.where, c.want)
	}
	data := `{"ad_id":"a","ts":1764000000000,"country":"KR","id":"data's"}`
	event := `event_id == "17" and country == "KR" and ad_id == "a"`
	check(t, "binary event", data, event, true, ceHeaders("ce_time", nil)...)
	check(t, "structured event", `{"specversion":"1.0","type":"t","source":"/s","id":"17","country":"US","data":`+data+`}`, event, true, structured)
	check(t, "id made of fields", `{"ad_id":"a","ts":1764000000000,"user":"u"}`, `event_id == nil`, true)
}

// check says of one record whether a filter is true of it.
func check(t *testing.T, name, value, where string, want bool, headers ...click.Header) {
	t.Helper()
	cfg := defaults()
	cfg.DedupeKey = []string{"user"}
	p := NewPartition(cfg, source, NewState(0))
	p.Filter([]FilterSpan{{Until: click.None, Set: filters(t, where)}})
	v := p.Add(&click.Record{Append: stamp, Value: []byte(value), Headers: click.MakeHeaders(headers)})
	if v.Kind != Routed || v.Mask != 0 != want {
		t.Errorf("%s: %v %s, mask %d", name, v.Kind, v.Detail, v.Mask)
	}
}

// TestFilterSpans: a click is held against the set of its own time, and what else is said of
// it is the same with and without.
func TestFilterSpans(t *testing.T) {
	t.Parallel()
	one, two := filters(t, "true"), filters(t, "false", `ad_id != ""`)
	spans := []FilterSpan{{From: base, Until: base + 60_000, Set: one}, {From: base + 60_000, Until: click.None, Set: two}}
	p, plain := newPartition(), newPartition()
	for i, c := range []struct {
		at   int64
		mask uint64
	}{{base + 1, 1}, {base + 60_000, 2}, {base + 59_999, 1}, {base - 1, 0}, {base + 120_000, 2}, {base - 3_600_000, 0}} {
		p.Filter(spans)
		r := clickAt(int64(i), c.at, base+120_000)
		v, w := p.Add(r), plain.Add(r)
		if v.Mask != c.mask || w.Mask != 0 {
			t.Errorf("at %d: mask %b, %b without filters; want %b", c.at-base, v.Mask, w.Mask, c.mask)
		}
		if v.Mask = 0; v != w {
			t.Errorf("%v with filters, %v without", v, w)
		}
	}
	p.Filter(spans[1:])
	if v := p.Add(clickAt(6, base+1, base+120_000)); v.Mask != 0 {
		t.Error("a set that was taken away is asked")
	}
	if a, b := p.State(), plain.State(); a != b {
		t.Errorf("state %v with filters, %v without", a, b)
	}
}

// TestSectionsTellMasks: the clicks of a section are told with their masks, and with the filters of their
// own minutes, which follow each other in one section.
func TestSectionsTellMasks(t *testing.T) {
	t.Parallel()
	one, two := filters(t, `ad_id != ""`), filters(t, "false", `ad_id != ""`)
	p := newPartition()
	p.Filter([]FilterSpan{{From: base, Until: base + 60_000, Set: one}, {From: base + 60_000, Until: click.None, Set: two}})
	want := map[int64]string{0: "[00] 1", 1: "[00 01] 10", 2: "[00] 1", 3: "[] 0"}
	for i, at := range []int64{base, base + 60_000, base + 59_999, base - 1} {
		p.Add(clickAt(int64(i), at, base+120_000))
	}
	got := map[int64]string{}
	for _, s := range p.Seal(4, click.None, click.None, 1) {
		parsed, err := click.ParseSection(s.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		for r := (click.Routed{}); parsed.Clicks.Next(&r); {
			got[r.Offset] = fmt.Sprintf("%v %b", r.Filters, r.Mask)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestMaskAllocatesNothing(t *testing.T) {
	p := newPartition()
	p.Filter([]FilterSpan{{Until: click.None, Set: filters(t, `country == "KR"`, `lower(note) contains "é"`, `n > 3 and x < 1.5 and b`, `ip in cidr("10.0.0.0/8")`)}})
	r := clickAt(0, base, base)
	r.Value = []byte(`{"event_id":"e","ad_id":"a","ts":1764000000000,"country":"KR","note":"\u00c9 x","n":4,"x":1.25,"b":true,"ip":"10.1.2.3"}`)
	if n := testing.AllocsPerRun(1000, func() {
		if v := p.Add(r); v.Mask != 15 {
			t.Fatal(v)
		}
		r.Offset++
	}); n > 0.1 { // sections grow
		t.Errorf("%v allocations", n)
	}
}

func TestCheckerMask(t *testing.T) {
	t.Parallel()
	c := NewChecker(defaults())
	c.Filter(filters(t, `country == "KR"`, "true"))
	for _, country := range []string{"US", "KR"} {
		want := map[string]uint64{"KR": 3, "US": 2}[country]
		value := fmt.Appendf(nil, `{"event_id":"e","ad_id":"a","ts":1764000000000,"country":%q}`, country)
		if _, _, _, err := c.Check(value); err != nil || c.Mask() != want {
			t.Errorf("%s: mask %d, %v", country, c.Mask(), err)
		}
	} // What the last click had, the next one lacks.
	if _, _, _, err := c.Check([]byte(`{"event_id":"e","ad_id":"a","ts":1764000000000}`)); err != nil || c.Mask() != 2 {
		t.Errorf("without country: mask %d, %v", c.Mask(), err)
	}
}
