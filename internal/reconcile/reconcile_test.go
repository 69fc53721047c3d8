package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/recount"
)

// some is a world with a few clicks in two hours and one in the third, all counted.
func some(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.click("1", "a", "KR", 0, 0)
	w.click("2", "a", "US", 0.1, 0.1)
	w.click("3", "a", "KR", 0.2, 0.2)
	w.click("4", "b", "KR", 0.3, 0.3)
	w.click("1", "a", "KR", 0, 0.4)      // 4: a repeat
	w.click("2", "a", "KR", 0.1, 0.4)    // 5: a conflict
	w.click("5", "c", "US", 3, 0.5)      // 6: ahead
	w.click("6", "a", "US", 61, 61)      // 7
	w.click("7", "b", "US", 61, 61)      // 8
	w.click("8", "b", "US", 125, 125)    // 9
	w.click("9", "b", "US", 200, 200)    // 10: all before is closed
	w.click("10", "b", "US", 239, 200.1) // 11: ahead
	w.fill()
	return w
}

func TestClean(t *testing.T) {
	t.Parallel()
	w := some(t)
	lines, report := w.run(0, 200)
	if len(lines) > 0 || !report.Clean() || report.Rows != 7 || report.Raw != 10 || report.Stored != 10 || report.ExactUntil != base+200*minute {
		t.Errorf("%q %+v", lines, report)
	}
	// What is not closed is not compared.
	w = some(t)
	w.click("11", "new", "KR", 239.5, 239.5)
	if lines, report := w.run(230, 300); len(lines) != 2 || report.To != base+240*minute {
		t.Errorf("%q %+v", lines, report)
	}
	if _, report := w.run(240, 300); report.From != report.To || report.From != base+240*minute {
		t.Errorf("%+v", report)
	}
}

// TestDamage plants every kind of damage.
func TestDamage(t *testing.T) {
	t.Parallel()
	row := func(ad string, count int64, digest uint64) click.Row {
		return click.Row{Ad: []byte(ad), Count: count, Digest: digest}
	}
	digest := func(w *world, id string) uint64 {
		_, made := w.rules.Judge.Router.Route([]byte("a"), []byte(id))
		return made.Digest()
	}
	for name, c := range map[string]struct {
		plant func(w *world, a click.Sum) // a is what ad a has in minute 0
		want  string
	}{
		"a count raised": {func(w *world, a click.Sum) { w.rows(2, base, minute, "000", row("a", 5, a.Digest)) },
			"count 0 000 a 5/3, missing_from_raw 2"},
		"a count lowered": {func(w *world, a click.Sum) { w.rows(2, base, minute, "000", row("a", 1, a.Digest)) },
			"count 0 000 a 1/3, missing_from_aggregate 2"},
		"one click lost": {func(w *world, a click.Sum) { w.rows(2, base, minute, "000", row("a", 2, a.Digest-digest(w, "3"))) },
			"count 0 000 a 2/3, missing_from_aggregate 1 clicks/0/2"},
		"a row deleted": {func(w *world, _ click.Sum) { w.rows(2, base, minute, "000", row("b", 0, 0)) },
			"count 0 000 b 0/1, missing_from_aggregate 1 clicks/0/3"},
		"a row invented": {func(w *world, _ click.Sum) {
			w.rows(2, base+7*minute, minute, "000", row("x", 4, 9))
			w.list(2, base+7*minute, minute, "000", 4, 1, row("x", 4, 0))
		},
			"count 7 000 x 4/0, missing_from_raw 4"},
		"a digest changed": {func(w *world, a click.Sum) { w.rows(2, base, minute, "000", row("a", 3, a.Digest+1)) },
			"count 0 000 a 3/3, missing_from_raw 1, missing_from_aggregate 1"},
		"a repeat counted": {func(w *world, a click.Sum) { w.rows(2, base, minute, "000", row("a", 4, a.Digest+digest(w, "1"))) },
			"count 0 000 a 4/3, duplicate 1 clicks/0/4"},
		"a conflict counted": {func(w *world, _ click.Sum) {
			kr := w.cell("kr", "a", 0)
			w.rows(2, base, minute, "kr", row("a", 3, kr.Digest+digest(w, "2")))
		}, "count 0 kr a 3/2, conflict 1 clicks/0/5"},
		"a click of the future counted": {func(w *world, _ click.Sum) {
			_, id := w.rules.Judge.Router.Route([]byte("c"), []byte("5"))
			w.rows(2, base+3*minute, minute, "000", row("c", 1, id.Digest()))
			w.list(2, base+3*minute, minute, "000", 1, 1, row("c", 1, 0))
		}, "count 3 000 c 1/0, rejected 1 clicks/0/6"},
		"a list changed":       {func(w *world, _ click.Sum) { w.list(2, base, minute, "000", 4, 2, row("b", 3, 0), row("a", 1, 0)) }, "list 0 000, wrong_list 0"},
		"a list emptied":       {func(w *world, _ click.Sum) { w.list(2, base, minute, "kr", 3, 2) }, "list 0 kr, wrong_list 0"},
		"a list's sum changed": {func(w *world, _ click.Sum) { w.list(2, base, minute, "000", 5, 2, row("a", 3, 0), row("b", 1, 0)) }, "list 0 000, wrong_list 0"},
		"a list invented":      {func(w *world, _ click.Sum) { w.list(2, base+8*minute, minute, "000", 1, 1, row("a", 1, 0)) }, "list 8 000, wrong_list 0"},
		"an hour changed":      {func(w *world, _ click.Sum) { w.rows(2, base, hour, "000/1h", row("a", 4, 0)) }, "rollup 0 000/1h, wrong_rollup 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := some(t)
			a := w.cell("000", "a", 0)
			c.plant(w, a)
			lines, report := w.run(0, 200)
			got := slices.DeleteFunc(slices.Clone(lines), func(s string) bool {
				return strings.HasPrefix(s, "rollup 0 000") && !strings.Contains(c.want, "rollup")
			})
			if strings.Join(got, "|") != c.want {
				t.Errorf("%q, want %q", lines, c.want)
			}
			if report.Clean() || report.Unexplained != report.Differences || report.ExactUntil >= base+200*minute {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestLate: what came too late is told of, under its filters, and is no fault; nor is it when it was added.
func TestLate(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.click("20", "a", "KR", 0.5, 201)
	w.click("21", "a", "US", 0.5, 201)
	w.click("1", "a", "KR", 0, 201) // late, and a repeat
	lines, report := w.run(0, 200)
	if want := []string{"count 0 000 a 3/3+2, late 2", "count 0 kr a 2/2+1, late 1"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	if !report.Clean() || report.Recount.Late != 3 || report.ExactUntil != base+200*minute {
		t.Errorf("%+v", report)
	}
	a := w.cell("000", "a", 0)
	for _, id := range []string{"20", "21"} {
		_, made := w.rules.Judge.Router.Route([]byte("a"), []byte(id))
		a.Add(click.Sum{Count: 1, Digest: made.Digest()})
	}
	w.apply(2, base, minute, "000", []click.Row{{Ad: []byte("a"), Count: a.Count, Digest: a.Digest}, {Ad: []byte("b"), Count: 1, Digest: w.cell("000", "b", 0).Digest}})
	lines, _ = w.run(0, 60)
	if want := []string{"count 0 kr a 2/2+1, late 1", "rollup 0 000/1h, wrong_rollup 2"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}

// TestRecord: a record that the raw store has lost is found in the log.
func TestRecord(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.raw, w.input = slices.Delete(slices.Clone(w.raw), 2, 3), 1
	lines, report := w.run(0, 200)
	want := []string{"count 0 000 a 3/2, missing_from_raw 1", "count 0 kr a 2/1, missing_from_raw 1", "record 0, missing_from_raw 1 clicks/0/2"}
	if !slices.Equal(lines, want) || report.Clean() || report.Unknown != 0 {
		t.Errorf("%q, want %q; %+v", lines, want, report)
	}
	w.from = 3 // the log has lost it too
	if lines, report = w.run(0, 200); len(lines) != 2 || report.Unknown != 1 || report.Exact() {
		t.Errorf("%q %+v", lines, report)
	}
	w = some(t)
	w.raw, w.log, w.input = slices.Delete(w.raw, 4, 5), slices.Delete(slices.Clone(w.log), 4, 5), 1 // none was there
	if lines, report = w.run(0, 200); len(lines) > 0 || !report.Clean() {
		t.Errorf("%q %+v", lines, report)
	}
}

// TestMuch: what is found beyond what is looked into is counted.
func TestMuch(t *testing.T) {
	t.Parallel()
	w := some(t)
	var rows []click.Row
	for i := range differencesMost + 10 {
		rows = append(rows, click.Row{Ad: fmt.Appendf(nil, "x%07d", i), Count: 1, Digest: 7})
	}
	w.apply(2, base+130*minute, minute, "000", rows)
	lines, report := w.run(120, 200)
	if len(lines) != differencesMost || report.Differences != differencesMost+10 || report.LeftOut != 10 || report.Unexplained != report.Differences {
		t.Errorf("%d lines, %+v", len(lines), report)
	}
}

// TestListOfAnHour: the list of an hour is that of its counts.
func TestListOfAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.list(1, base, hour, "000/1h", 9, 9, click.Row{Ad: []byte("z"), Count: 9}) // what is stored once with a version stays
	w.click("1", "a", "US", 0, 0)
	w.fill()
	if lines, _ := w.run(0, 60); !slices.Equal(lines, []string{"list 0 000/1h, wrong_list 0"}) {
		t.Errorf("%q", lines)
	}
}

// TestSuperseded: a count that is put right while it is compared is no fault. One that becomes another, and is as
// wrong, is one.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		planted, then click.Row
		want          string
	}{
		"put right":             {click.Row{Count: 4, Digest: 4}, click.Row{Count: 1}, "4/1, superseded_by_replay 3"},
		"the right clicks":      {click.Row{Count: 1, Digest: 4}, click.Row{Count: 1}, "1/1, superseded_by_replay 1"},
		"otherwise wrong":       {click.Row{Count: 4, Digest: 4}, click.Row{Count: 3, Digest: 3}, "3/1, missing_from_raw 2"},
		"other clicks, as many": {click.Row{Count: 4, Digest: 4}, click.Row{Count: 1, Digest: 3}, "1/1, missing_from_raw 1, missing_from_aggregate 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := some(t)
			c.planted.Ad, c.then.Ad = []byte("b"), []byte("b")
			if c.then.Digest == 0 {
				c.then.Digest = w.cell("000", "b", 0).Digest
			}
			w.rows(2, base, minute, "000", c.planted)
			w.again = func() { w.rows(3, base, minute, "000", c.then) }
			lines, report := w.run(0, 200)
			if !slices.Equal(lines, []string{"count 0 000 b " + c.want}) || report.Clean() != strings.Contains(c.want, "superseded") {
				t.Errorf("%q %+v", lines, report)
			}
		})
	}
	w := some(t) // a row that should not be is taken away
	w.rows(2, base+7*minute, minute, "000", click.Row{Ad: []byte("x"), Count: 4, Digest: 9})
	w.list(2, base+7*minute, minute, "000", 4, 1, click.Row{Ad: []byte("x"), Count: 4})
	w.again = func() { w.rows(3, base+7*minute, minute, "000", click.Row{Ad: []byte("x")}) }
	if lines, report := w.run(0, 200); len(lines) == 0 || lines[0] != "count 7 000 x 4/0, superseded_by_replay 4" {
		t.Errorf("%q %+v", lines, report)
	}
}

// TestLateRepeat: a late click that repeats another and is counted is a repeat that is counted, not one of the
// late clicks that might be.
func TestLateRepeat(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"1": "count 0 000 a 4/3+2, duplicate 1 clicks/0/14, late 2",
		"2": "count 0 000 a 4/3+2, conflict 1 clicks/0/14, late 2",
	} {
		w := some(t)
		w.raw, w.log = slices.Delete(slices.Clone(w.raw), 4, 6), slices.Delete(slices.Clone(w.log), 4, 6) // no repeats in time
		w.click("20", "a", "US", 0.5, 201)
		w.click("21", "a", "US", 0.5, 201)
		w.raw[len(w.raw)-2].Offset, w.raw[len(w.raw)-1].Offset = 12, 13
		w.click(id, "a", "KR", 0, 201)
		w.raw[len(w.raw)-1].Offset = 14
		_, made := w.rules.Judge.Router.Route([]byte("a"), []byte(id))
		a := w.cell("000", "a", 0)
		a.Add(click.Sum{Count: 1, Digest: made.Digest()})
		w.apply(2, base, minute, "000", []click.Row{{Ad: []byte("a"), Count: a.Count, Digest: a.Digest}, {Ad: []byte("b"), Count: 1, Digest: w.cell("000", "b", 0).Digest}})
		lines, report := w.run(0, 59)
		if !slices.Equal(lines, []string{want}) || report.Clean() {
			t.Errorf("%q, want %q; %+v", lines, want, report)
		}
	}
}

// TestListWithoutLate: where late clicks were added, the list must have them as well.
func TestListWithoutLate(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.click("20", "a", "US", 0.5, 201)
	_, made := w.rules.Judge.Router.Route([]byte("a"), []byte("20"))
	a := w.cell("000", "a", 0)
	a.Add(click.Sum{Count: 1, Digest: made.Digest()})
	w.rows(2, base, minute, "000", click.Row{Ad: []byte("a"), Count: a.Count, Digest: a.Digest})
	if lines, report := w.run(0, 59); !slices.Equal(lines, []string{"list 0 000, wrong_list 0"}) || report.Clean() {
		t.Errorf("%q %+v", lines, report)
	}
}

// TestNoSource: where there is nothing to read, nothing is known.
func TestNoSource(t *testing.T) {
	t.Parallel()
	w := some(t)
	w.raw, w.none = nil, true
	if _, report := w.run(0, 200); report.Exact() || report.Clean() || report.outcome() == outcomeClean {
		t.Errorf("%+v", report)
	}
	if _, done, _, err := w.repair(0, 200, false); !errors.Is(err, ErrInexact) || done != (Repaired{}) || len(w.job.diffs) > 0 {
		t.Errorf("%+v %v", done, err)
	}
}

// TestHolesOfALog: a log may have any number of holes, and lacks nothing.
func TestHolesOfALog(t *testing.T) {
	t.Parallel()
	for input, unknown := range []int64{0, 3} {
		c := run{report: Report{Recount: recount.Report{Input: input}}, holes: make([]hole, holesMost), Reconciler: &Reconciler{Clicks: new(world)}}
		c.hole(source, 4, 7)
		if err := c.records(t.Context()); err != nil || c.report.Unknown != unknown {
			t.Errorf("%d unknown, %v", c.report.Unknown, err)
		}
	}
}
