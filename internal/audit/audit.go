package audit

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

// Window is what is stored of one window under one filter.
type Window struct {
	Start   int64          // Unix ms
	Filter  string         // click.FilterAll for all clicks
	Clicks  int64          // the sum of its counts
	Ads     int64          // how many ads have a count above 0
	Open    int64          // how many of these have a state or revision that no count of a complete window has
	List    *click.Ranking // published beside the counts; nil when there is none
	Lineage *click.Lineage // nil when there is none; it is one for all filters, and stands with all clicks
}

// Agrees tells whether what is stored of the window goes together. While a correction is being stored, it does
// not for a moment.
func (w *Window) Agrees() bool { return w.quarrel() == "" }

func (w *Window) quarrel() string {
	switch l := w.List; {
	case w.Open > 0:
		return fmt.Sprintf("the state or revision of %d of %d counts is not that of a complete minute", w.Open, w.Ads)
	case l == nil:
		return fmt.Sprintf("%d clicks are counted, and no ranked list was published with them", w.Clicks)
	case l.Clicks != w.Clicks || l.Ads != w.Ads:
		return fmt.Sprintf("the counts are %d clicks of %d ads, and what was published with them says %d of %d", w.Clicks, w.Ads, l.Clicks, l.Ads)
	case w.Lineage != nil && w.Lineage.Version != l.Version && (w.Lineage.Version < l.Version || w.Lineage.Correction == 0):
		// A correction may have changed what is counted under another filter only.
		return fmt.Sprintf("the ranked list is of version %d, and the lineage of version %d", l.Version, w.Lineage.Version)
	}
	return ""
}

// Source is what happened in one source partition between the first and the last
// time that a window of the range was signed off.
type Source struct {
	Source click.Source
	// From and To are offsets: the least and the greatest at which all shards were when a
	// window was signed off. Account and Tally are of the records from the first to the
	// last, without the latter.
	From, To int64
	Account  click.Account
	Tally    click.Tally
	// Base is the first offset that was ever read, and Total and Totals are the account and
	// the tallies from there up to To.
	Base   int64
	Total  click.Account
	Totals click.Tally
}

// Finding is something that must not be.
type Finding struct {
	Start  int64  // of the window, Unix ms
	Source string // "" when it is not about a source
	Text   string
}

// findingsMax is how many findings a report spells out. All are counted.
const findingsMax = 100

// Report is the outcome. It holds when there are no findings.
type Report struct {
	Windows   int   // with a click, under whatever filter
	Corrected int   // of these: corrected since they became final
	Unsigned  int   // of these: without a lineage, since it has ended or was not stored
	Clicks    int64 // in all windows
	Corrects  int64 // revisions above the first, over all windows
	Sources   []Source
	Found     int       // how many findings there are
	Findings  []Finding // the first of them
}

// Holds tells whether nothing was found.
func (r *Report) Holds() bool { return r.Found == 0 }

// Fold takes the windows of a range, in any order, and keeps what a [Report] needs.
// The zero value is ready.
type Fold struct {
	report  Report
	sources map[click.Source]*trail
}

// trail is what was seen of a source: the step before, the lowest and the highest.
type trail struct {
	last, low, high click.Origin
}

// Add takes one final window.
func (f *Fold) Add(w *Window) {
	r := &f.report
	if w.Filter != click.FilterAll {
		if text := w.quarrel(); text != "" {
			f.find(w.Start, "", "under the filter %s: %s", w.Filter, text)
		}
		return
	}
	r.Windows++
	r.Clicks += w.Clicks
	if text := w.quarrel(); text != "" {
		f.find(w.Start, "", "%s", text)
	} else {
		r.Corrects += w.List.Revision - 1
	}
	if w.Lineage == nil {
		r.Unsigned++
		return
	}
	if w.Lineage.State == click.Corrected {
		r.Corrected++
	}
	for i := range w.Lineage.Sources {
		f.step(w.Start, &w.Lineage.Sources[i])
	}
}

// Copy takes a count that is kept twice, and is not the same where its ad is asked for and among those of all ads.
func (f *Fold) Copy(start int64, series, ad string, asked, among click.Count) {
	switch {
	case asked.Sum == among.Sum:
		f.find(start, "", "under %s, ad %s is %s at revision %d when it is asked for, and %s at %d among all ads",
			series, ad, asked.State, asked.Revision, among.State, among.Revision)
	case asked.Count == among.Count:
		f.find(start, "", "under %s, ad %s has %d clicks when it is asked for, and as many others among all ads", series, ad, asked.Count)
	default:
		f.find(start, "", "under %s, ad %s has %d clicks when it is asked for, and %d among all ads", series, ad, asked.Count, among.Count)
	}
}

// Copies takes a window, an hour or a day of which many counts are so.
func (f *Fold) Copies(start int64, series string) {
	f.find(start, "", "under %s, ads do not have the same clicks when they are asked for as among all", series)
}

// step checks what a window says of a source, by itself and against what the window
// before said. All are totals from the first record on, so the identities hold for
// the difference of any two, whichever came first.
func (f *Fold) step(start int64, o *click.Origin) {
	name := o.Source.String()
	if !o.Holds() {
		f.find(start, name, "up to offset %d the accounts do not add up: %d received, %d marks, %d late, %d rejected, %d routed, of which the shards judged %d",
			o.Settled, o.Account.Received, o.Account.Marks, o.Account.Late, o.Account.RejectedTotal(), o.Account.Routed, o.Tally.Total())
	}
	if o.Settled > o.Heard {
		f.find(start, name, "settled at offset %d, beyond %d, up to where it was heard", o.Settled, o.Heard)
	}
	if o.Settled == 0 {
		return // the shards were never at one offset
	}
	t := f.sources[o.Source]
	if t == nil {
		if f.sources == nil {
			f.sources = map[click.Source]*trail{}
		}
		f.sources[o.Source] = &trail{last: *o, low: *o, high: *o}
		if base(o) < 0 {
			f.find(start, name, "%d records and %d other offsets before offset %d", o.Account.Received, o.Account.Skipped, o.Settled)
		}
		return
	}
	from, to := &t.last, o
	if from.Settled > to.Settled {
		from, to = to, from
	}
	f.between(start, name, from, to)
	t.last = *o
	if o.Settled < t.low.Settled {
		t.low = *o
	}
	if o.Settled > t.high.Settled {
		t.high = *o
	}
}

// between checks the records of one source between two offsets.
func (f *Fold) between(start int64, name string, from, to *click.Origin) {
	a, t := minus(&to.Account, &from.Account), lessTally(to.Tally, from.Tally)
	switch offsets := to.Settled - from.Settled; {
	case offsets == 0 && (to.Account != from.Account || to.Tally != from.Tally):
		f.find(start, name, "two windows have different accounts of the records up to offset %d", to.Settled)
	case offsets != a.Received+a.Skipped:
		f.find(start, name, "from offset %d to %d there are %d offsets, and the accounts have %d records and %d offsets without one",
			from.Settled, to.Settled, offsets, a.Received, a.Skipped)
	case slices.Min(append(a.Rejected[:], a.Received, a.Skipped, a.Marks, a.Late, a.Routed,
		t.Counted, t.Duplicate, t.Conflict, t.Crowded, t.Stale)) < 0:
		f.find(start, name, "from offset %d to %d a total falls", from.Settled, to.Settled)
	}
}

// find records something that must not be.
func (f *Fold) find(start int64, source, format string, args ...any) {
	f.report.Found++
	if len(f.report.Findings) < findingsMax {
		f.report.Findings = append(f.report.Findings, Finding{Start: start, Source: source, Text: fmt.Sprintf(format, args...)})
	}
}

// Report returns what was found so far. Sources are in the order of topic,
// incarnation and partition.
func (f *Fold) Report() Report {
	r := f.report
	r.Sources = make([]Source, 0, len(f.sources))
	for name, t := range f.sources {
		r.Sources = append(r.Sources, Source{
			Source: name, From: t.low.Settled, To: t.high.Settled,
			Account: minus(&t.high.Account, &t.low.Account), Tally: lessTally(t.high.Tally, t.low.Tally),
			Base: base(&t.high), Total: t.high.Account, Totals: t.high.Tally,
		})
	}
	slices.SortFunc(r.Sources, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.Source.Topic, b.Source.Topic), slices.Compare(a.Source.ID[:], b.Source.ID[:]),
			cmp.Compare(a.Source.Partition, b.Source.Partition))
	})
	return r
}

// String is the finding in a line: the window, the source, what is wrong.
func (f Finding) String() string {
	at := time.UnixMilli(f.Start).UTC().Format(time.RFC3339)
	if f.Source == "" {
		return at + ": " + f.Text
	}
	return at + ", " + f.Source + ": " + f.Text
}

// base is the offset at which an account begins.
func base(o *click.Origin) int64 { return o.Settled - o.Account.Received - o.Account.Skipped }

func minus(a, b *click.Account) click.Account {
	d := click.Account{
		Skipped: a.Skipped - b.Skipped, Received: a.Received - b.Received, Marks: a.Marks - b.Marks,
		Late: a.Late - b.Late, Routed: a.Routed - b.Routed,
	}
	for i := range d.Rejected {
		d.Rejected[i] = a.Rejected[i] - b.Rejected[i]
	}
	return d
}

func lessTally(a, b click.Tally) click.Tally {
	return click.Tally{
		Counted: a.Counted - b.Counted, Duplicate: a.Duplicate - b.Duplicate, Conflict: a.Conflict - b.Conflict,
		Crowded: a.Crowded - b.Crowded, Stale: a.Stale - b.Stale,
	}
}
