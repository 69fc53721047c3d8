package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/copies"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/storage"
)

// What names corrections that are repairs.
const What = "reconcile"

// ErrInexact: the records are not all there, so what they come to is no reason to change what is stored.
var ErrInexact = errors.New("nothing was changed: not all records of the range are known")

// The steps of a repair beside those of a comparison and of publishing.
const (
	Restoring Step = "putting records back"
	Repairing Step = "counting what will be"
)

// Job is a correction at work, as [correct.Job] is.
type Job interface {
	// Add takes in what must change of one window under one filter.
	Add(d *correct.Diff) error
	// Publish publishes all of it, as a whole.
	Publish(ctx context.Context, watch func(correct.Progress) error) error
	// End says that the correction has ended, and how.
	End(ctx context.Context, outcome string) error
	// GiveUp ends it after an error, which it returns, unless something was published: then it is to be resumed.
	GiveUp(ctx context.Context, why error) error
	// Close frees what it holds.
	Close() error
}

// Begin takes the place of the one correction that is at work, or takes over one that was left
// unfinished.
type Begin func(ctx context.Context, c control.Correction, resume bool) (Job, control.Correction, error)

// By is the Begin of a publisher.
func By(p *correct.Publisher) Begin {
	return func(ctx context.Context, c control.Correction, resume bool) (Job, control.Correction, error) {
		begin := p.Begin
		if resume {
			begin = func(ctx context.Context, c control.Correction) (*correct.Job, error) {
				return p.Resume(ctx, c.What, c.By)
			}
		}
		j, err := begin(ctx, c)
		if err != nil {
			return nil, c, err
		}
		return j, j.Correction, nil
	}
}

// Repaired is what a repair did.
type Repaired struct {
	Counts  int64 // that were changed
	Records int64 // that were put back into the raw store
}

// repair is one at work.
type repair struct {
	*Reconciler
	q      Question
	watch  func(s Step, done, total int64) error
	job    Job
	copies copies.Found
	dirty  map[part]bool // what is to be repaired; true for lists and hours that are wrong while the counts are right
	all    bool          // everything is
	done   Repaired
	late   *recount.Gathered // of the range, since something was put back

	report Report // of the last comparison
}

// Repair makes what is stored what the clicks come to, with those that came too late: it puts records that the
// raw store has lost back, publishes new counts as one correction, and compares again. It tells each of
// what was found before, and returns the report of what is there afterwards. Nothing is changed where the records are
// not all known: [ErrInexact]. By says who wants it. With resume it finishes the repair that was left unfinished,
// whose range it takes.
func (r *Reconciler) Repair(ctx context.Context, q Question, by string, resume bool,
	watch func(s Step, done, total int64) error, each func(*Difference) error,
) (Repaired, Report, error) {
	want := control.Correction{What: What, By: by, Source: q.Source, Late: true}
	if !resume { // it decides on late clicks of what is closed now, and of nothing else
		span, err := r.closed(ctx, q)
		if err != nil || span.From == span.To {
			return Repaired{}, Report{From: span.From, To: span.To, ExactUntil: span.To}, err
		}
		want.From, want.To = span.From, span.To
	}
	job, c, err := r.Begin(ctx, want, resume)
	if err != nil {
		return Repaired{}, Report{}, fmt.Errorf("reconcile: %w", err)
	}
	defer func() { _ = job.Close() }()
	w := repair{Reconciler: r, q: Question{From: c.From, To: c.To, Source: c.Source}, watch: watch, job: job, dirty: map[part]bool{}, all: resume, late: new(recount.Gathered)}
	if err := w.prepare(ctx, each); err != nil {
		return w.done, Report{}, fmt.Errorf("reconcile: %w", job.GiveUp(ctx, err))
	}
	if err := job.Publish(ctx, func(p correct.Progress) error { return watch(Step(p.Phase), p.Done, p.Total) }); err != nil {
		return w.done, Report{}, fmt.Errorf("reconcile: %w", job.GiveUp(ctx, err))
	}
	if err := job.End(ctx, fmt.Sprintf("%d counts were changed", w.done.Counts)); err != nil {
		return w.done, Report{}, fmt.Errorf("reconcile: %w", err)
	}
	if len(w.dirty) == 0 && !w.all {
		return w.done, w.report, nil // nothing was published
	}
	report, err := r.run(ctx, w.q, w.late, watch, func(*Difference) error { return nil })
	if err != nil {
		err = fmt.Errorf("reconcile: %w", err)
	}
	return w.done, report, err
}

// prepare finds what must change and adds it to the job.
func (w *repair) prepare(ctx context.Context, each func(*Difference) error) error {
	if err := w.find(ctx, each); err != nil {
		return err
	}
	if len(w.dirty) == 0 && !w.all {
		return nil
	}
	return w.add(ctx)
}

// find compares, puts back records that were lost, and notes what is to be repaired.
func (w *repair) find(ctx context.Context, each func(*Difference) error) error {
	for first := true; ; first = false {
		var lost []*Difference
		clear(w.dirty)
		var err error
		w.report, err = w.run(ctx, w.q, w.late, w.watch, func(d *Difference) error {
			if d.Kind == Record {
				lost = append(lost, d)
			}
			w.note(d)
			if first {
				return each(d)
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case !w.report.Exact():
			return ErrInexact
		case len(lost) == 0:
			w.all = w.all || w.report.LeftOut > 0
			return nil
		}
		if err := w.restore(ctx, lost); err != nil {
			return err
		}
		w.late = new(recount.Gathered)
	}
}

// note notes what a difference makes to be repaired: a count by the window it is of; a list as well, though
// its counts are right; and an hour or a day by one of its windows, since publishing that one has it
// added up again.
func (w *repair) note(d *Difference) {
	if d.Kind == Record || slices.ContainsFunc(d.Parts, func(p cause.Part) bool { return p.Cause == cause.Superseded }) {
		return
	}
	w.dirty[d.window] = w.dirty[d.window] || d.Kind != Count && (d.Kind != Copy || d.rolled())
}

// restore puts records back into the raw store.
func (w *repair) restore(ctx context.Context, lost []*Difference) error {
	for i, d := range lost {
		if err := w.watch(Restoring, int64(i), int64(len(lost))); err != nil {
			return err
		}
		if err := w.Clicks.Restore(ctx, d.Source, d.Offset, d.Offset+1); err != nil {
			return err
		}
		w.done.Records++
	}
	return nil
}

// add counts once more and adds what must change.
func (w *repair) add(ctx context.Context) error {
	span, err := w.closed(ctx, w.q)
	if err != nil {
		return err
	}
	if w.copies, err = copies.Find(ctx, w.Store, span.From, span.To, func() error { return w.watch(Copying, 0, 1) }); err != nil {
		return err
	}
	k, err := w.walk(ctx, span.From, w.compare)
	if err != nil {
		return err
	}
	report, err := w.Clicks.Recount(ctx, span, recount.Options{Source: w.q.Source, Late: true, Gathered: w.late},
		func(done, total int64) error { return w.watch(Repairing, done, total) },
		func(win *recount.Window) error { return k.take(ctx, win) })
	switch {
	case err != nil:
		return err
	case !exact(&report):
		return ErrInexact
	}
	return errors.Join(k.until(ctx, span.To), w.clear(ctx))
}

// compare adds what must change of one window under one filter.
func (w *repair) compare(ctx context.Context, win *recount.Window) error {
	wrong, dirty := w.dirty[part{win.Start, win.Filter}]
	if !dirty && !w.all {
		return nil
	}
	stored, err := correct.Read(ctx, w.Store, win.Filter, win.Start, w.Size)
	if err != nil {
		return err
	}
	stored.Note(win.Filter, win.Start, &w.copies)
	d := correct.Compare(win.Start, w.Size, win.Filter, &stored, Whole(win), w.Top, nil)
	w.done.Counts += int64(len(d.Changes))
	if wrong && len(d.Changes) == 0 {
		d.List = true // which has its hour added up again,
		if d.Ads == 0 {
			if d.Changes, err = w.none(ctx, win); err != nil { // and this one as well
				return err
			}
		}
	}
	return w.job.Add(&d)
}

// none is the count of a window without a click: none of an ad that its hour or day has.
func (w *repair) none(ctx context.Context, win *recount.Window) (one []correct.Change, err error) {
	hour := calendar.Hour(win.Start)
	for u := storage.Hour; u <= storage.Day && one == nil; u++ {
		from := hour.From
		if u == storage.Day { // it began a day ago at most
			from -= 25 * calendar.HourMS
		}
		err = w.Store.Scan(ctx, u.Series(win.Filter), from, hour.From+1, func(c *storage.Cell) error {
			one = []correct.Change{{Ad: bytes.Clone(c.Ad)}}
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, fmt.Errorf("read hours and days: %w", err)
		}
	}
	return one, nil
}

var errEnough = errors.New("enough")
