package recount

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// withLate runs a recount that gathers late clicks, in turn and with sources read at once, and returns what every window
// has more by them.
func withLate(t testing.TB, in Input, span Range, r Rules) (strict, late map[string]click.Sum, report Report) {
	t.Helper()
	strict, late, report = withLateOnce(t, in, span, r)
	if r.Witness == nil {
		r.Workers = 3
		strict2, late2, report2 := withLateOnce(t, in, span, r)
		if !maps.Equal(strict2, strict) || !maps.Equal(late2, late) || report2 != report {
			t.Errorf("with sources read at once: %+v, in turn %+v", report2, report)
		}
	}
	return strict, late, report
}

func withLateOnce(t testing.TB, in Input, span Range, r Rules) (strict, late map[string]click.Sum, report Report) {
	t.Helper()
	strict, late = map[string]click.Sum{}, map[string]click.Sum{}
	r.Late = true
	last := int64(0)
	report, err := Run(t.Context(), []Input{in}, span, r, func(done, total int64) error {
		if done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
		return nil
	}, func(w *Window) error {
		key := func(row click.Row) string {
			return fmt.Sprintf("%d %s %s", (w.Start-base)/minute, w.Filter, row.Ad)
		}
		for _, row := range w.Rows {
			strict[key(row)] = row.Sum()
		}
		for _, row := range w.Late {
			if _, twice := late[key(row)]; twice {
				t.Errorf("%s is handed out twice", key(row))
			}
			late[key(row)] = row.Sum()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strict, late, report
}

// TestLate: a click that came too late is handed out beside the counts, under its filters, unless
// it repeats a valid click or another late one, however much later it came.
func TestLate(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "1", "a", "KR", base+1, base+2)
	in.add(1, "9", "a", "US", base+1, base+2)
	in.add(0, "late", "b", "KR", base+2, base+2) // of another ad
	in.add(0, "far", "a", "KR", base+50*minute, base+50*minute)
	in.add(1, "far", "c", "KR", base+50*minute, base+50*minute)
	in.add(0, "1", "a", "KR", base+1, base+50*minute)         // late, and a repeat
	in.add(0, "late", "a", "KR", base+3, base+51*minute)      // late
	in.add(1, "late", "a", "KR", base+minute, base+51*minute) // again, in another minute
	in.add(0, "2", "a", "US", base+4, base+400*minute)        // late by hours
	in.add(1, "next", "a", "KR", base+6*minute, base+52*minute)
	in.add(0, "x", "a", "KR", base+500*minute, base+400*minute) // stamped ahead
	r := rules(t, `country == "KR"`)
	var kinds []string
	r.Witness = func(j *Judged) {
		kinds = append(kinds, fmt.Sprintf("%s %d %s", j.Kind, j.Source.Partition, j.Click.Ad))
	}
	strict, late, report := withLate(t, in, Range{base, base + 10*minute}, r)
	if got := fmt.Sprint(numbers(strict)); got != "[0 000 a: 2 0 000 b: 1 0 f0 a: 1 0 f0 b: 1]" {
		t.Error(got)
	}
	if got := fmt.Sprint(numbers(late)); got != "[0 000 a: 2 0 f0 a: 1 6 000 a: 1 6 f0 a: 1]" {
		t.Error(got)
	}
	if report.Late != 5 || !report.Exact() {
		t.Errorf("%+v", report)
	}
	if got, want := kinds[:5], []string{"late 0 a", "late 0 a", "late 0 a", "late 1 a", "late 1 a"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := kinds[5:]; len(got) != 3 {
		t.Errorf("valid: %q", got)
	}
}

// TestLateRepeatsBeyond: the valid click that a late one repeats may stand behind the range, and may be
// read long after the windows of the range are closed.
func TestLateRepeatsBeyond(t *testing.T) {
	t.Parallel()
	in := records{}
	in.add(0, "first", "a", "KR", base, base)
	for i := range turnMost {
		in.add(0, fmt.Sprint(i), "b", "KR", base+8*minute, base+8*minute)
	}
	in.add(0, "1", "a", "KR", base+9*minute, base+9*minute)
	in.add(0, "2", "a", "KR", base+11*minute, base+11*minute)
	in.add(0, "far", "b", "KR", base+50*minute, base+50*minute)
	in.add(0, "1", "a", "KR", base+5, base+50*minute)
	in.add(0, "2", "a", "KR", base+5, base+50*minute) // beyond the horizon of the valid one
	strict, late, _ := withLate(t, in, Range{base, base + minute}, rules(t))
	if fmt.Sprint(numbers(strict), numbers(late)) != "[0 000 a: 1] [0 000 a: 1]" {
		t.Error(numbers(strict), numbers(late))
	}
}

func numbers(sums map[string]click.Sum) (out []string) {
	for key, sum := range sums {
		out = append(out, fmt.Sprintf("%s: %d", key, sum.Count))
	}
	slices.Sort(out)
	return out
}

// TestLateAnyOrder: what late clicks add is what is counted when nothing is ever late, less what
// is counted now, whichever range is asked for.
func TestLateAnyOrder(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	some := 0
	for seed := range uint64(20) {
		in := records{}
		now := [3]int64{base, base, base}
		for i := range 600 {
			p := rnd.IntN(3)
			now[p] += rnd.Int64N(20_000)
			at := now[p]
			if rnd.IntN(3) == 0 {
				at -= rnd.Int64N(40 * minute)
			}
			// Ids that come again do so in the minute of their first click, so that it does not matter
			// which of them is the first.
			id := fmt.Sprint(rnd.IntN(8), "-", at/minute)
			in.add(int32(p), id, fmt.Sprint("ad", rnd.IntN(3)), "KR", at/minute*minute, now[p])
			if i == 0 {
				for q := range int32(3) {
					in.add(q, fmt.Sprint("first", q), "first", "KR", base, base)
				}
			}
		}
		span := Range{base + int64(seed)*minute, base + int64(seed+10)*minute}
		strict, late, report := withLate(t, in, span, rules(t))
		patient := rules(t)
		patient.Judge.Lateness = 1000 * minute
		all, _, _ := withLate(t, in, span, patient)
		for key, want := range all {
			got := strict[key]
			got.Add(late[key])
			if got != want {
				t.Fatalf("seed %d: %s: %+v counted and %+v late, want %+v", seed, key, strict[key], late[key], want)
			}
		}
		if !report.Exact() {
			t.Fatalf("%+v", report)
		}
		some += len(late)
	}
	if some < 100 {
		t.Errorf("only %d counts with late clicks", some)
	}
}

// TestHole: offsets without a record are told of.
func TestHole(t *testing.T) {
	t.Parallel()
	in := records{}
	for i := range 5 {
		in.add(0, fmt.Sprint(i), "a", "KR", base+int64(i), base+int64(i))
	}
	s := click.Source{Topic: "clicks"}
	in[s] = slices.Delete(in[s], 2, 4)
	r := rules(t)
	var holes []string
	r.Hole = func(s click.Source, from, to int64) { holes = append(holes, fmt.Sprintf("%s %d %d", s, from, to)) }
	count(t, in, Range{base, base + minute}, r)
	if fmt.Sprint(holes) != "[clicks/0 2 4]" {
		t.Error(holes)
	}
}

// TestLateFirst: of late clicks that repeat one another that counts which was appended first, from wherever they are read,
// however far apart they are and whatever came later.
func TestLateFirst(t *testing.T) {
	t.Parallel()
	in := records{}
	for p := range int32(2) {
		in.add(p, "far", "b", "KR", base+90*minute, base+90*minute)
	}
	in.add(0, "1", "a", "KR", base+8*minute, base+92*minute)
	in.add(1, "1", "a", "US", base+8*minute, base+91*minute)  // under another filter
	in.add(1, "1", "a", "KR", base+14*minute, base+93*minute) // repeats it
	in.add(1, "1", "a", "KR", base+24*minute, base+94*minute) // repeats only one that repeats
	in.add(0, "1", "a", "KR", base+19*minute, base+95*minute) // repeats that, though of an earlier minute
	in.add(0, "1", "a", "KR", base+24*minute, base+96*minute)
	_, late, report := withLate(t, in, Range{base, base + 30*minute}, rules(t, `country == "KR"`))
	if got := fmt.Sprint(numbers(late)); got != "[24 000 a: 1 24 f0 a: 1 8 000 a: 1]" || report.Late != 6 {
		t.Error(got, report.Late)
	}
}
