package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/copies"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/storage"
)

// What names a replay in the control topic.
const What = "replay"

// ErrRange: the range has no whole window, or windows that may still change by themselves.
var ErrRange = errors.New("the range cannot be replayed")

// Inexact is the error of a recount that cannot be known to have all clicks.
type Inexact struct{ Recount recount.Report }

func (e *Inexact) Error() string {
	r := &e.Recount
	why := fmt.Sprintf("%d clicks found no room (aggregator.max_ids, aggregator.max_ads)", r.Crowded)
	switch {
	case r.Sources == 0:
		why = "there is nothing to read"
	case !r.Whole:
		why = "records of the range, or before it, are not kept any more"
	case r.Behind:
		why = "what is read is behind the input topics: wait, or read another source"
	case r.Unsure > 0:
		why = fmt.Sprintf("of %d clicks it is not known whether they came too late", r.Unsure)
	}
	return "the recount from the " + r.InputName() + " cannot be known to be exact: " + why + "; nothing was changed"
}

// exact tells whether a recount has all clicks of closed windows.
func exact(r *recount.Report) bool { return r.Sources > 0 && r.Exact() && !r.Behind }

// Clicks counts from records, as [recount.Installation] does.
type Clicks interface {
	// Recount is that of an installation.
	Recount(ctx context.Context, span recount.Range, o recount.Options, watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error)
}

// Replayer replays into one installation. It is safe for concurrent use.
type Replayer struct {
	Clicks    Clicks
	Publisher *correct.Publisher // with the store that is compared
	Control   string             // topic
}

// Question says what is replayed.
type Question struct {
	From, To     int64    // Unix ms; rounded down to whole windows
	Ads, Filters []string // only these; none means all
	Source       string   // as in recount.Options
	Inexact      bool     // publish also what cannot be known to be exact
	Late         bool     // count clicks that came too late as well; where a correction did so before, they are in any case
	By           string   // who asks
}

// Report is what a replay found, and did.
type Report struct {
	Recount       recount.Report
	From, To      int64 // that was compared
	Windows       int64 // in which something differs, each filter's apart
	Counts        int64 // that differ
	Before, After int64 // clicks of all windows, under click.FilterAll: as stored, and as they should be
	Number        int64 // of the correction that was published; 0 when there was none
}

// Exact tells whether it is known that all clicks were counted.
func (r *Report) Exact() bool { return exact(&r.Recount) }

// Counting is the first step of a replay; the others are the phases of [correct.Progress].
const Counting = "counting"

// Watch is told over and over how far a step is. An error of it ends the replay.
type Watch func(step string, done, total int64) error

// Compare finds all differences between what is stored and a recount, and changes nothing. Each difference
// is handed to each, in the order of windows and filters, and is valid during the call.
func (r *Replayer) Compare(ctx context.Context, q Question, watch Watch, each func(*correct.Diff) error) (Report, error) {
	facts, err := control.Load(ctx, r.Publisher.Log, r.Control)
	if err != nil {
		return Report{}, err
	}
	if err := r.check(ctx, &q); err != nil {
		return Report{}, err
	}
	return r.compare(ctx, &q, &facts, watch, each)
}

// Run compares, and publishes what differs as a whole. After an error nothing has changed and it has ended, unless
// its hold had begun: then it is to be resumed.
func (r *Replayer) Run(ctx context.Context, q Question, watch Watch) (Report, error) {
	if err := r.check(ctx, &q); err != nil {
		return Report{}, err
	}
	j, err := r.Publisher.Begin(ctx, control.Correction{
		What: What, By: q.By, From: q.From, To: q.To, Ads: q.Ads, Filters: q.Filters, Source: q.Source, Inexact: q.Inexact, Late: q.Late,
	})
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = j.Close() }()
	return r.work(ctx, &q, j, watch)
}

// Resume does again what is left unfinished, from a new comparison; inexact allows it to be so. It
// ends as Run does.
func (r *Replayer) Resume(ctx context.Context, by string, inexact bool, watch Watch) (Report, error) {
	j, err := r.Publisher.Resume(ctx, What, by)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = j.Close() }()
	c := &j.Correction
	q := Question{From: c.From, To: c.To, Ads: c.Ads, Filters: c.Filters, Source: c.Source, Inexact: c.Inexact || inexact, Late: c.Late, By: by}
	return r.work(ctx, &q, j, watch)
}

// work compares, publishes and ends a job.
func (r *Replayer) work(ctx context.Context, q *Question, j *correct.Job, watch Watch) (report Report, err error) {
	defer func() {
		if err != nil {
			err = j.GiveUp(ctx, err)
		}
	}()
	report, err = r.compare(ctx, q, j.Facts(), watch, j.Add)
	if err != nil {
		return report, err
	}
	if !report.Exact() && !q.Inexact {
		return report, &Inexact{report.Recount}
	}
	if err := j.Publish(ctx, func(p correct.Progress) error { return watch(p.Phase, p.Done, p.Total) }); err != nil {
		return report, err
	}
	report.Number = j.Correction.Hold.Number
	return report, j.End(ctx, fmt.Sprintf("%d counts in %d windows changed", report.Counts, report.Windows))
}

// check rounds a question to whole windows and refuses what cannot be replayed.
func (r *Replayer) check(ctx context.Context, q *Question) error {
	size := r.Publisher.Window
	q.From, q.To = q.From-q.From%size, q.To-q.To%size
	if q.From < 0 || q.From >= q.To {
		return fmt.Errorf("%w: it has no whole window", ErrRange)
	}
	marks, err := r.Publisher.Store.Marks(ctx)
	if err != nil {
		return fmt.Errorf("read how far the store is complete: %w", err)
	}
	switch _, closed := storage.Until(marks); {
	case closed == click.None:
		return fmt.Errorf("%w: no window is closed for good yet", ErrRange)
	case q.To > closed:
		return fmt.Errorf("%w: windows are closed for good until %s; ask for no later ones", ErrRange, moment(closed-closed%size))
	}
	return nil
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// compare recounts and compares window by window.
func (r *Replayer) compare(ctx context.Context, q *Question, facts *control.Facts, watch Watch, each func(*correct.Diff) error) (Report, error) {
	slices.Sort(q.Ads)
	c := comparison{Replayer: r, q: q, each: each, report: Report{From: q.From, To: q.To}, next: q.From}
	say := func(done, total int64) error {
		c.tick = func() error { return errors.Join(ctx.Err(), watch(Counting, done, total)) }
		return c.tick()
	}
	if err := say(0, 0); err != nil {
		return c.report, err
	}
	var err error
	if c.filters, err = r.filters(ctx, q, facts); err != nil {
		return c.report, err
	}
	if c.copies, err = copies.Find(ctx, r.Publisher.Store, q.From, q.To, func() error { return c.tick() }); err != nil {
		return c.report, err
	}
	c.late = lateIn(q, facts)
	c.report.Recount, err = r.Clicks.Recount(ctx, recount.Range{From: q.From, To: q.To}, recount.Options{Source: q.Source, Late: len(c.late) > 0},
		say, func(w *recount.Window) error { return c.take(ctx, w) })
	if err != nil {
		return c.report, err
	}
	return c.report, c.until(ctx, q.To, "")
}

// filters are those under which something may be stored or counted, in the order of bytes.
func (r *Replayer) filters(ctx context.Context, q *Question, facts *control.Facts) ([]string, error) {
	all, err := r.Publisher.Store.Counted(ctx)
	if err != nil {
		return nil, fmt.Errorf("read which filters are stored: %w", err)
	}
	all = append(all, click.FilterAll)
	for _, s := range facts.FilterSpans(q.From) {
		for i := range s.Filters {
			all = append(all, s.Filters[i].ID)
		}
	}
	all = slices.DeleteFunc(all, func(f string) bool { return len(q.Filters) > 0 && !slices.Contains(q.Filters, f) })
	slices.Sort(all)
	return slices.Compact(all), nil
}

// comparison is one walk over all windows and filters of a range.
type comparison struct {
	*Replayer
	q       *Question
	each    func(*correct.Diff) error
	report  Report
	filters []string
	next    int64        // the window whose filters are compared, those
	done    int          // from this on
	tick    func() error // says again how far it is
	late    []control.Correction
	copies  copies.Found
}

// take compares a window that was counted, after those before it, which have no click.
func (c *comparison) take(ctx context.Context, w *recount.Window) error {
	if err := c.until(ctx, w.Start, w.Filter); err != nil {
		return err
	}
	if c.done == len(c.filters) || c.filters[c.done] != w.Filter {
		return nil // not asked for
	}
	c.done++
	return c.one(ctx, w.Start, w.Filter, c.counted(w))
}

// until compares what lies before a window under a filter, where nothing was counted.
func (c *comparison) until(ctx context.Context, start int64, filter string) error {
	for c.next < start || c.next == start && c.done < len(c.filters) && c.filters[c.done] < filter {
		if c.done == len(c.filters) {
			c.next, c.done = c.next+c.Publisher.Window, 0
			continue
		}
		f := c.filters[c.done]
		c.done++
		if err := c.one(ctx, c.next, f, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) one(ctx context.Context, start int64, filter string, counted []click.Row) error {
	if err := c.tick(); err != nil {
		return err
	}
	stored, err := correct.Read(ctx, c.Publisher.Store, filter, start, c.Publisher.Window)
	if err != nil {
		return err
	}
	stored.Note(filter, start, &c.copies)
	d := correct.Compare(start, c.Publisher.Window, filter, &stored, counted, c.Publisher.Top, c.q.Ads)
	if filter == click.FilterAll {
		c.report.Before += d.OldClicks
		c.report.After += d.Clicks
	}
	if d.None() {
		return nil
	}
	c.report.Windows++
	c.report.Counts += int64(len(d.Changes))
	return c.each(&d)
}

// lateIn lists what has clicks counted that came too late: a question that asks for it, and the
// corrections of its range that did so. What they put in, a replay does not take out again.
func lateIn(q *Question, facts *control.Facts) []control.Correction {
	late := slices.DeleteFunc(slices.Clone(facts.Corrections()), func(c control.Correction) bool {
		return !c.Late || c.Hold.Number == 0 || c.To <= q.From || q.To <= c.From
	})
	if q.Late {
		late = append(late, control.Correction{From: q.From, To: q.To})
	}
	return late
}

// counted are the counts that a window should have.
func (c *comparison) counted(w *recount.Window) []click.Row {
	late := slices.DeleteFunc(slices.Clone(w.Late), func(r click.Row) bool {
		return !slices.ContainsFunc(c.late, func(o control.Correction) bool {
			return o.From <= w.Start && w.Start < o.To && (len(o.Filters) == 0 || slices.Contains(o.Filters, w.Filter)) &&
				(len(o.Ads) == 0 || slices.Contains(o.Ads, string(r.Ad)))
		})
	})
	if len(late) == 0 {
		return w.Rows
	}
	var out []click.Row
	for rows := w.Rows; len(rows) > 0 || len(late) > 0; {
		switch order := first(rows, late); {
		case order < 0:
			out, rows = append(out, rows[0]), rows[1:]
		case order > 0:
			out, late = append(out, late[0]), late[1:]
		default:
			sum := rows[0].Sum()
			sum.Add(late[0].Sum())
			out, rows, late = append(out, click.Row{Ad: rows[0].Ad, Count: sum.Count, Digest: sum.Digest}), rows[1:], late[1:]
		}
	}
	return out
}

// first says which of two lists has the next ad: negative the first, 0 both.
func first(a, b []click.Row) int {
	if len(a) == 0 || len(b) == 0 {
		return len(b) - len(a)
	}
	return bytes.Compare(a[0].Ad, b[0].Ad)
}
