package recount

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

// counted counts the records that are read of an input, and notes the last one's offset.
type counted struct {
	records
	n    int
	last int64
}

func (c *counted) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	return c.records.Read(ctx, s, from, to, func(r *click.Record) error {
		c.n, c.last = c.n+1, r.Offset
		return f(r)
	})
}

// told is all that a recount with late clicks says, what it tells a witness included, and how many records it read.
func told(t *testing.T, in Input, span Range, r Rules, g *Gathered) (text string, read int) {
	t.Helper()
	var clicks []string
	if r.Workers == 0 { // the order of what is read at once is not that of reading in turn
		r.Witness = func(j *Judged) {
			clicks = append(clicks, fmt.Sprintf("%s %s/%d %d %d %s %x %d %v", j.Kind, j.Source, j.Click.Offset, j.LateBy, j.Append, j.Click.Ad, j.Click.ID, j.Click.Mask, j.Click.Filters))
		}
	}
	r.Gathered = g
	c, counts := in.(*counted)
	if counts {
		c.n = 0
	}
	strict, late, report := withLateOnce(t, in, span, r)
	if counts {
		read = c.n
	}
	slices.Sort(clicks)
	return fmt.Sprintf("%v\n%v\n%+v\n%q", strict, late, report, clicks), read
}

// TestGathered: while more is appended, a recount that goes on from what others have gathered says the same as one that
// reads all, of the whole range and of parts of it.
func TestGathered(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 8))
	saved := 0
	for seed := range uint64(6) {
		all := records{}
		now := [3]int64{base, base, base}
		for i := range 900 {
			p := rnd.IntN(3)
			now[p] += rnd.Int64N(20_000)
			at := now[p]
			switch rnd.IntN(6) {
			case 0, 1:
				at -= rnd.Int64N(40 * minute)
			case 2:
				at += rnd.Int64N(40 * minute)
			}
			all.add(int32(p), fmt.Sprint(i/2), fmt.Sprint("ad", rnd.IntN(3)), []string{"KR", "US"}[i%2], at, now[p])
		}
		wide := Range{base + int64(seed)*minute, base + int64(seed+40)*minute}
		for _, workers := range []int{0, 3} {
			g := new(Gathered)
			for _, until := range []int64{15, 20, 25, 25, 40, 80} {
				in := &counted{records: records{}}
				for s, list := range all {
					in.records[s] = slices.DeleteFunc(slices.Clone(list), func(r click.Record) bool { return r.Append >= base+until*minute })
				}
				part := wide
				part.From += minute * rnd.Int64N(30)
				part.To -= minute * rnd.Int64N(10)
				for _, span := range []Range{part, wide, part} {
					r := rules(t, `country == "KR"`)
					r.Turn = 1 + rnd.Int64N(100)
					if r.Workers = workers; workers > 0 {
						want, _ := told(t, in.records, span, r, nil)
						if got, _ := told(t, in.records, span, r, g); got != want {
							t.Fatalf("seed %d, until %d, %v: %s\nwant %s", seed, until, span, got, want)
						}
						continue
					}
					want, n := told(t, in, span, r, nil)
					got, again := told(t, in, span, r, g)
					if got != want || again > n {
						t.Fatalf("seed %d, until %d, %v: %d records read, %s\nwant %d, %s", seed, until, span, again, got, n, want)
					}
					saved += n - again
				}
			}
		}
	}
	if saved < 10_000 {
		t.Errorf("only %d records were not read again", saved)
	}
}

// TestGatheredOfOthers: what was gathered of other records, of another range or by other facts is not relied on.
func TestGatheredOfOthers(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "1", "a", "KR", base+1, base+2)
	in.add(0, "2", "a", "KR", base+minute/2, base+minute/2)
	in.add(0, "3", "a", "KR", base+2, base+90*minute) // late by the silence, where the topic is live
	in.add(0, "4", "a", "KR", base+91*minute, base+91*minute)
	in.add(0, "5", "a", "KR", base+2*minute, base+92*minute) // late
	in.add(0, "6", "a", "KR", base+minute, base+93*minute)   // late
	s := click.Source{Topic: "clicks"}
	span := Range{base, base + 2*minute}
	type recount struct {
		inputs []Input
		span   Range
		rules  Rules
	}
	for name, other := range map[string]func(before, after *recount){
		"another range":  func(b, a *recount) { b.span = Range{base + 2*minute, base + 4*minute} },
		"a part of it":   func(b, a *recount) { b.span.To -= minute },
		"its other part": func(b, a *recount) { b.span.From += minute },
		"not yet live":   func(b, a *recount) { b.rules.Live = func(click.TopicID) int64 { return click.None } },
		"an earlier log": func(b, a *recount) { a.inputs = []Input{records{s: in[s][:5]}} },
		"a later start":  func(b, a *recount) { b.inputs = []Input{records{s: in[s][5:]}} },
		"another input": func(b, a *recount) {
			b.inputs = []Input{records{s: slices.Delete(slices.Clone(in[s]), 2, 3)}}
			a.inputs = []Input{records{}, in}
		},
		"another source":  func(b, a *recount) { b.inputs = []Input{records{{Topic: "others"}: in[s]}} },
		"newer filters":   func(b, a *recount) { a.rules.Filters = halves(t, a.rules.Filters, `country == "KR"`) },
		"further filters": func(b, a *recount) { b.rules.Filters = nil },
	} {
		before, after := recount{[]Input{in}, span, rules(t)}, recount{[]Input{in}, span, rules(t)}
		other(&before, &after)
		run := func(c *recount, g *Gathered) (lines []string) {
			c.rules.Late, c.rules.Gathered = true, g
			report, err := Run(t.Context(), c.inputs, c.span, c.rules, func(int64, int64) error { return nil }, func(w *Window) error {
				for _, row := range append(w.Rows, w.Late...) {
					lines = append(lines, fmt.Sprint((w.Start-base)/minute, " ", w.Filter, " ", string(row.Ad), " ", row.Count))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return append(lines, fmt.Sprintf("%+v", report))
		}
		g := new(Gathered)
		run(&before, g)
		got, want := run(&after, g), run(&after, nil)
		if !slices.Equal(got, want) || len(want) < 2 {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// halves is filters of which others take the place with the second minute.
func halves(t *testing.T, old []rule.FilterSpan, where string) []rule.FilterSpan {
	t.Helper()
	spans := append(slices.Clone(old), rules(t, where).Filters...)
	spans[0].Until, spans[1].From = base+minute, base+minute
	return spans
}

// TestGatheredIsBounded: of more clicks than are taken in, none is forgotten.
func TestGatheredIsBounded(t *testing.T) {
	t.Parallel()
	in := &counted{records: records{}}
	in.add(0, "far", "a", "KR", base+90*minute, base+90*minute)
	for i := range 3 * turnMost {
		at := base + 90*minute
		if i%turnMost < 2 {
			at = base + int64(i)
		}
		in.add(0, fmt.Sprint(i), "a", "KR", at, base+90*minute)
	}
	span := Range{base, base + 2*minute}
	want, all := told(t, in, span, rules(t), nil)
	for _, n := range []int{0, lateMost - 3} {
		g := new(Gathered)
		told(t, in, span, rules(t), g)
		if known := g.sources[click.Source{Topic: "clicks"}]; n == 0 && len(known.missed) != 6 {
			t.Fatalf("%d clicks", len(known.missed))
		}
		*g = Gathered{input: g.input, span: g.span, filters: g.filters, sources: map[click.Source]*gathered{}, n: n}
		for range 2 {
			if got, _ := told(t, in, span, rules(t), g); got != want {
				t.Errorf("room for %d: %s\nwant %s", lateMost-n, got, want)
			}
		}
		if _, again := told(t, in, span, rules(t), g); n == 0 && again > all/2+3 || n > 0 && again <= all/2 {
			t.Errorf("room for %d: %d records read, without it %d", lateMost-n, again, all)
		}
	}
}

// TestGatheredWhereKept: of what keeps records the newest are read again, as they may show in any order.
func TestGatheredWhereKept(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "far", "a", "KR", base+90*minute, base+90*minute)
	in.add(0, "old", "a", "KR", base, base+90*minute)
	for i := range unsettled + 2*turnMost {
		in.add(0, fmt.Sprint(i), "a", "KR", base+90*minute, base+90*minute)
	}
	in.add(0, "new", "a", "KR", base, base+90*minute)
	in.add(0, "newest", "a", "KR", base+90*minute, base+90*minute)
	s := click.Source{Topic: "clicks"}
	some := maps.Clone(in)
	some[s] = slices.Delete(slices.Clone(in[s]), len(in[s])-2, len(in[s])-1)
	span, g := Range{base, base + minute}, new(Gathered)
	told(t, &Kept{Raw: kept{some}, Log: in}, span, rules(t), g)
	if known := g.sources[s]; len(known.missed) != 1 || known.state.Next < turnMost || known.state.Next > int64(len(in[s]))-unsettled {
		t.Errorf("%d clicks up to %d of %d", len(known.missed), known.state.Next, len(in[s]))
	}
	want, _ := told(t, &Kept{Raw: kept{in}, Log: in}, span, rules(t), nil)
	if got, _ := told(t, &Kept{Raw: kept{in}, Log: in}, span, rules(t), g); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
