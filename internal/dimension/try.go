package dimension

import (
	"context"
	"fmt"
	"io"
	"math/bits"
	"text/tabwriter"

	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/progress"
)

// Trial is what clicks of a file came to under some filters.
type Trial struct {
	Clicks int64
	Others int64   // lines that are no clicks
	First  error   // why the first of them is none, with its line; nil without one
	Passed []int64 // clicks by filter, in the order of the set
}

// Try holds the clicks of a file of JSON lines against filters. Judge tells which of them
// a click passes, or why the value is none. Repeats count, as in the file.
func Try(ctx context.Context, set *filter.Set, file string, stdin io.Reader, judge func(value []byte) (mask uint64, err error)) (Trial, error) {
	t := Trial{Passed: make([]int64, set.Len())}
	err := load.Lines(ctx, file, stdin, func(line int64, value []byte, err error) {
		var mask uint64
		if err == nil {
			mask, err = judge(value)
		}
		if err != nil {
			if t.Others++; t.First == nil {
				t.First = fmt.Errorf("line %d: %w", line, err)
			}
			return
		}
		t.Clicks++
		for ; mask != 0; mask &= mask - 1 {
			t.Passed[bits.TrailingZeros64(mask)]++
		}
	})
	return t, err
}

// Print writes a trial as a table.
func (t *Trial) Print(w io.Writer, set *filter.Set) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILTER\tNAME\tCLICKS\tOF ALL")
	for i, d := range set.Definitions() {
		share := 0.0
		if t.Clicks > 0 {
			share = 100 * float64(t.Passed[i]) / float64(t.Clicks)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%.1f%%\n", d.ID, progress.Clean(d.Name), t.Passed[i], share)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d clicks", t.Clicks)
	if err == nil && t.Others > 0 {
		_, err = fmt.Fprintf(w, "; %d lines are none, the first is %v", t.Others, t.First)
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}
