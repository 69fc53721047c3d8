package reconcile

import (
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
)

// Kind says what it is that differs.
type Kind string

// The kinds of differences.
const (
	Count  Kind = "count"  // of an ad in a window under a filter
	List   Kind = "list"   // the ranked list of a window, an hour or a day
	Rollup Kind = "rollup" // an hour or a day
	Copy   Kind = "copy"   // of a count, hour or day by ad, where a store keeps one: what questions about one ad are answered from
	Record Kind = "record" // a record that the raw store has lost and the log still has
)

// Difference is one thing that is not as the records say.
type Difference struct {
	Kind   Kind
	Start  int64  // of the window, hour or day, Unix ms; of a Record, its append time
	Filter string // of hours and days with their unit: a series; empty for a Record
	Ad     string // of a Count or a Copy; empty for all copies of the window
	cause.Row
	Parts  []cause.Part
	Where  string       // of a Record: topic/partition/offset
	Source click.Source // of a Record
	Offset int64

	open   bool // of a Count or a List: its state or revision is none of what has ended
	window part // that a repair publishes anew
}

// wrong tells whether a count is neither that without late clicks nor that with them.
func (d *Difference) wrong() bool { return d.Kind == Count && !d.Holds() && !d.WithoutLate().Holds() }

// Explained tells whether all of its causes are.
func (d *Difference) Explained() bool {
	for i := range d.Parts {
		if !d.Parts[i].Cause.Explained() {
			return false
		}
	}
	return len(d.Parts) > 0
}

// Size is how much has a cause.
type Size struct{ Differences, Clicks int64 }

// Report sums up a comparison.
type Report struct {
	From, To int64 // Unix ms: the windows that were compared, [From, To)
	Recount  recount.Report
	Rows     int64 // counts that were compared: stored, or of the records
	Stored   int64 // clicks that are stored, under all filters together
	Raw      int64 // valid clicks of the records, likewise
	Causes   map[cause.Cause]Size

	Differences int64
	Unexplained int64 // of these: something is wrong
	LeftOut     int64 // of these: not looked into, because there are more than can be at once
	Unknown     int64 // offsets without a record in the raw store of which the log says nothing any more
	// ExactUntil is the end of the windows, from the first on, in which nothing is wrong.
	ExactUntil int64
}

// Exact tells whether the records are all there, so that what they say is the truth.
func (r *Report) Exact() bool { return exact(&r.Recount) && r.Unknown == 0 }

// exact tells whether a recount had all records. One that had no source to read knows nothing.
func exact(r *recount.Report) bool { return r.Sources > 0 && r.Exact() && !r.Behind }

// Clean tells whether nothing is wrong, and that is known for sure.
func (r *Report) Clean() bool { return r.Exact() && r.Unexplained == 0 }

// add enters a difference.
func (r *Report) add(d *Difference) {
	r.Differences++
	if !d.Explained() {
		r.wrong(d.Start)
	}
	seen := map[cause.Cause]bool{}
	for _, p := range d.Parts {
		s := r.Causes[p.Cause]
		if s.Clicks += p.Clicks; !seen[p.Cause] {
			s.Differences++
		}
		seen[p.Cause], r.Causes[p.Cause] = true, s
	}
}

// wrong notes that something of a time is.
func (r *Report) wrong(start int64) {
	r.Unexplained++
	r.ExactUntil = max(r.From, min(r.ExactUntil, start))
}

// over adds up clicks.
func over(rows []click.Row) (n int64) {
	for i := range rows {
		n += rows[i].Count
	}
	return n
}
