package gen

import (
	"fmt"
	"strings"
	"time"
)

// differencesShown is how many differences a report spells out.
const differencesShown = 20

// Difference is a cell on which two answers disagree; a count of 0 is no cell.
type Difference struct {
	Ad        string
	Minute    int64 // Unix ms
	Want, Got int64
}

// String names the cell and both counts.
func (d Difference) String() string {
	return fmt.Sprintf("%q at %s: want %d, got %d", d.Ad, time.UnixMilli(d.Minute).UTC().Format(minuteLayout), d.Want, d.Got)
}

// Report says how an answer differs from the truth.
type Report struct {
	Cells   int          // cells of the truth
	Missing int          // cells of the truth that the answer has not
	Extra   int          // cells of the answer that the truth has not
	Wrong   int          // cells with another count
	First   []Difference // the first few, ordered by minute, then by ad
}

// Equal tells whether there is no difference.
func (r *Report) Equal() bool { return r.Missing+r.Extra+r.Wrong == 0 }

// String sums the report up, with one line for each of the first differences.
func (r *Report) String() string {
	if r.Equal() {
		return fmt.Sprintf("all %d counts agree", r.Cells)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "of %d counts %d are wrong, %d missing; %d more should not be there", r.Cells, r.Wrong, r.Missing, r.Extra)
	for _, d := range r.First {
		fmt.Fprintf(&b, "\n  %s", d)
	}
	return b.String()
}

// Compare holds an answer against the truth, cell by cell.
func Compare(truth, got *Counts) Report {
	r := Report{Cells: truth.Len()}
	all := Counts{minutes: map[int64]map[string]*int64{}}
	for _, c := range []*Counts{truth, got} {
		for minute, ads := range c.minutes {
			for ad := range ads {
				all.Add([]byte(ad), minute, 0)
			}
		}
	}
	for cell := range all.All() {
		want, have := truth.Count(cell.Ad, cell.Minute), got.Count(cell.Ad, cell.Minute)
		switch {
		case want == have:
			continue
		case have == 0:
			r.Missing++
		case want == 0:
			r.Extra++
		default:
			r.Wrong++
		}
		if len(r.First) < differencesShown {
			r.First = append(r.First, Difference{Ad: cell.Ad, Minute: cell.Minute, Want: want, Got: have})
		}
	}
	return r
}
