package answer

import (
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// TestHeld: while a correction is stored, and when one begins while rows are read, every
// kind of answer over its time is provisional, and no other.
func TestHeld(t *testing.T) {
	t.Parallel()
	open := click.Hold{Number: 2, From: minute, To: 2 * minute}
	done := open
	done.Done = true
	before := click.Hold{Number: 1, From: minute, To: 2 * minute, Done: true}
	for name, c := range map[string]struct {
		holds    []click.Hold // before the rows and after
		from, to int64
		final    bool
	}{
		"none":                      {nil, 0, 3 * minute, true},
		"done":                      {[]click.Hold{done, done}, 0, 3 * minute, true},
		"open":                      {[]click.Hold{open, open}, 0, 3 * minute, false},
		"open, in another minute":   {[]click.Hold{open, open}, 2 * minute, 3 * minute, true},
		"open, in the minute after": {[]click.Hold{open, open}, 0, minute, true},
		"it began meanwhile":        {[]click.Hold{before, open}, 0, 3 * minute, false},
		"it began and ended":        {[]click.Hold{before, done}, 0, 3 * minute, false},
		"it ended":                  {[]click.Hold{open, done}, 0, 3 * minute, false},
	} {
		s := newFake()
		s.complete = 3 * minute
		for w := range int64(3) {
			s.put(w*minute, "a", w+1, 1)
			s.rank(w*minute, 3, click.Final)
		}
		r := New(s, time.Minute)
		asked := func() { s.holds = slices.Clone(c.holds) }
		asked()
		count, countErr := r.Count(t.Context(), click.FilterAll, []byte("a"), c.from, c.to)
		asked()
		frame, counts, countsErr := r.Counts(t.Context(), click.FilterAll, []string{"a", "b"}, c.from, c.to)
		asked()
		top, topErr := r.Top(t.Context(), click.FilterAll, 1, c.from, c.to)
		asked()
		series, steps, seriesErr := r.Series(t.Context(), click.FilterAll, []byte("a"), c.from, c.to, storage.Cut{Step: calendar.Minute})
		for _, err := range []error{countErr, countsErr, topErr, seriesErr} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for kind, final := range map[string]bool{
			"count": count.Final(), "counts": frame.Final(), "each of them": counts[1].Final(), "top": top.Final(), "series": series.Final(),
		} {
			if final != c.final {
				t.Errorf("%s: the %s is final: %v", name, kind, final)
			}
		}
		if held := slices.ContainsFunc(steps, func(s Count) bool { return !s.Final() }); held == c.final {
			t.Errorf("%s: a step is not final: %v", name, held)
		}
	}
}

// TestAuditEndsAtAHold: what is being corrected does not agree with itself, and that is no finding.
func TestAuditEndsAtAHold(t *testing.T) {
	t.Parallel()
	s := newFake()
	s.complete, s.holds = 5*minute, []click.Hold{{Number: 1, From: 2 * minute, To: 4 * minute}}
	s.put(0, "a", 1, 1)
	s.rank(0, 3, click.Final)
	s.put(3*minute, "a", 1, 1)
	f, report, err := New(s, time.Minute).Audit(t.Context(), 0, 5*minute, func(int64, int64) error { return nil })
	if err != nil || f.To != 2*minute || !report.Holds() || report.Windows != 1 {
		t.Errorf("%+v, %+v, %v", f, report, err)
	}
}
