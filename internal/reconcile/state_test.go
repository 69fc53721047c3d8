package reconcile

import (
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// The last count of the world's minute 0 as it may have been before, or cannot be.
var (
	isOpen     = click.Standing{State: click.Provisional, Revision: 1}
	finalTwice = click.Standing{State: click.Final, Revision: 2}
	unrevised  = click.Standing{State: click.Corrected, Revision: 1}
	corrected  = click.Standing{State: click.Corrected, Revision: 3}
)

// TestStates plants counts and lists that are right but for their state or revision. Each is found, named and repaired, and what
// is as it can be is not.
func TestStates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plant func(w *world, b click.Row) // ad b of minute 0
		want  string
	}{
		"open":                 {func(w *world, b click.Row) { w.stand(2, base, minute, "000", isOpen, b) }, "count 0 000 b 1/1, wrong_state 0"},
		"final twice":          {func(w *world, b click.Row) { w.stand(2, base, minute, "000", finalTwice, b) }, "count 0 000 b 1/1, wrong_state 0|rollup 0 000/1h, wrong_state 0"},
		"corrected by nothing": {func(w *world, b click.Row) { w.stand(2, base, minute, "000", unrevised, b) }, "count 0 000 b 1/1, wrong_state 0"},
		"under a filter":       {func(w *world, b click.Row) { w.stand(2, base, minute, "kr", isOpen, b) }, "count 0 kr b 1/1, wrong_state 0"},
		"open, and too many": {func(w *world, b click.Row) {
			b.Count += 2
			w.stand(2, base, minute, "000", isOpen, b)
		}, "count 0 000 b 3/1, missing_from_raw 2, wrong_state 0"},
		"open, beside late clicks": {func(w *world, b click.Row) {
			w.click("20", "b", "US", 0.5, 201)
			w.stand(2, base, minute, "000", isOpen, b)
		}, "count 0 000 b 1/1+1, late 1, wrong_state 0"},
		"open, with late clicks in it": {func(w *world, b click.Row) {
			w.click("20", "b", "US", 0.5, 201)
			_, made := w.rules.Judge.Router.Route([]byte("b"), []byte("20"))
			w.stand(2, base, minute, "000", isOpen, click.Row{Ad: b.Ad, Count: b.Count + 1, Digest: b.Digest + made.Digest()})
			w.list(2, base, minute, "000", 5, 2, click.Row{Ad: []byte("a"), Count: 3}, click.Row{Ad: []byte("b"), Count: 2})
		}, "count 0 000 b 2/1+1, wrong_state 0|rollup 0 000/1h, wrong_rollup 1"},
		"a list": {func(w *world, _ click.Row) { w.openList(2) }, "list 0 000, wrong_state 0"},
		"an hour's corrections": {func(w *world, b click.Row) {
			w.stand(2, base, hour, "000/1h", corrected, b)
		}, "rollup 0 000/1h, wrong_state 0"},
		"a minute's, which its hour has not": {func(w *world, b click.Row) { w.stand(2, base, minute, "000", corrected, b) }, "rollup 0 000/1h, wrong_state 0"},
		"a minute's and its hour's": {func(w *world, b click.Row) {
			w.stand(2, base, minute, "000", corrected, b)
			w.stand(2, base, hour, "000/1h", corrected, b)
		}, ""},
		"what was taken away": {func(w *world, _ click.Row) { w.stand(2, base, minute, "000", isOpen, click.Row{Ad: []byte("z")}) }, ""},
		"what is not closed":  {func(w *world, b click.Row) { w.stand(2, base+240*minute, minute, "000", isOpen, b) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := some(t)
			sum := w.cell("000", "b", 0)
			c.plant(w, click.Row{Ad: []byte("b"), Count: sum.Count, Digest: sum.Digest})
			lines, report := w.run(0, 300)
			if got := strings.Join(lines, "|"); got != c.want || report.Clean() != (c.want == "") {
				t.Errorf("%q, want %q, %+v", got, c.want, report)
			}
			_, done, report, err := w.repair(0, 300, false)
			if err != nil || !report.Clean() || report.Differences > 0 || (done.Counts > 0) != strings.Contains(c.want, "count") {
				t.Errorf("repair: %+v %+v %v", done, report, err)
			}
		})
	}
}

// openList stores the list of minute 0 as it was when the minute was still open.
func (w *world) openList(version int64) {
	w.Helper()
	w.ranked(version, click.Provisional)
}

func (w *world) ranked(version int64, state click.State) {
	w.Helper()
	l := click.Ranking{
		Start: base, Size: minute, Filter: click.FilterAll, State: state, Revision: 1, Version: version, Clicks: 4, Ads: 2,
		Top: []click.Row{{Ad: []byte("a"), Count: 3}, {Ad: []byte("b"), Count: 1}},
	}
	if err := w.store.Apply(w.Context(), &storage.Batch{Rankings: []click.Ranking{l}}); err != nil {
		w.Fatal(err)
	}
}

// TestStatesThatFollow: a count that is put right while it is compared is told of as such, and of a list that is, nothing is.
func TestStatesThatFollow(t *testing.T) {
	t.Parallel()
	w := some(t)
	sum := w.cell("000", "b", 0)
	b := click.Row{Ad: []byte("b"), Count: sum.Count, Digest: sum.Digest}
	w.stand(2, base, minute, "000", isOpen, b)
	w.openList(2)
	w.again = func() {
		w.rows(3, base, minute, "000", b)
		w.ranked(3, click.Final)
	}
	if lines, report := w.run(0, 200); strings.Join(lines, "|") != "count 0 000 b 1/1, superseded_by_replay 1" || !report.Clean() {
		t.Errorf("%q %+v", lines, report)
	}
}

// TestStatesOfCopies: what one ad is answered for with has the state and revision that stand among all ads.
func TestStatesOfCopies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start, size int64
		series, ad  string
		standing    click.Standing
		window      bool // is another, and not what the ad is answered for with
		want        string
	}{
		"a later revision":      {base, minute, "000", "b", corrected, false, "copy 0 000 b 1/1, wrong_state 0"},
		"an earlier one beside": {base, minute, "000", "b", corrected, true, "rollup 0 000/1h, wrong_state 0|copy 0 000 b 1/1, wrong_state 0"},
		"open":                  {base, minute, "kr", "b", isOpen, false, "copy 0 kr b 1/1, wrong_state 0"},
		"open beside":           {base, minute, "000", "b", isOpen, true, "count 0 000 b 1/1, wrong_state 0|copy 0 000 b 1/1, wrong_state 0"},
		"an hour":               {base, hour, "000/1h", "b", corrected, false, "copy 0 000/1h b 1/1, wrong_state 0"},
	} {
		w, _ := twofold(t)
		two := w.store.(*storagetest.Twofold)
		sum := w.cell(storage.FilterOf(c.series), c.ad, 0)
		one := *w
		if one.store = two.ByAd; c.window {
			one.store = two.Store
		}
		row := click.Row{Ad: []byte(c.ad), Count: sum.Count, Digest: sum.Digest}
		if c.size == hour {
			row.Digest = 0 // as the world has it
		}
		one.stand(2, c.start, c.size, c.series, c.standing, row)
		if lines, report := w.run(0, 200); strings.Join(lines, "|") != c.want || report.Clean() {
			t.Errorf("%s: %q, want %q", name, lines, c.want)
		}
		if _, _, report, err := w.repair(0, 200, false); err != nil || !report.Clean() || report.Differences > 0 {
			t.Errorf("%s: repair: %+v, %v", name, report, err)
		}
		if cells, err := w.store.Count(t.Context(), "000", []byte("b"), base, base+minute); c.standing == corrected && c.size == minute &&
			(err != nil || len(cells) != 1 || cells[0].Revision <= corrected.Revision) {
			t.Errorf("%s: %+v, %v: its revision went back", name, cells, err)
		}
	}
}
