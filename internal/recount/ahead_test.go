package recount

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// TestAhead: while a turn is counted the next one is filled, and no other, which would be filled in its place.
func TestAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const total = 5 * turnMost
		in := &counted{records: records{}}
		for i := range int64(total) {
			in.add(0, fmt.Sprint(i), "a", "KR", base+i, base+i)
		}
		r, turns := rules(t), 0
		r.Workers = 1
		r.Witness = func(j *Judged) {
			if j.Click.Offset%turnMost != 0 {
				return
			}
			turns++
			synctest.Wait()
			if want := min(j.Click.Offset+laneTurns*turnMost, total) - 1; in.last != want {
				t.Errorf("while the turn from %d on is counted, offset %d is read, want %d", j.Click.Offset, in.last, want)
			}
		}
		if report, err := Run(t.Context(), []Input{in}, Range{base, base + 10*minute}, r, func(int64, int64) error { return nil }, func(*Window) error { return nil }); err != nil || report.Clicks != total || turns != 5 {
			t.Errorf("%+v, %v, %d turns", report, err, turns)
		}
	})
}
