package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/storage"
)

// differencesMost is how many differences are looked into, and as many lost records. Of more, a range was lost rather than
// damaged, and is replayed.
const differencesMost = 10_000

// Clicks counts from records, as [recount.Installation] does.
type Clicks interface {
	// Recount is that of an installation.
	Recount(ctx context.Context, span recount.Range, o recount.Options, watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error)
	// Restore is that of an installation.
	Restore(ctx context.Context, s click.Source, from, to int64) error
	// InLog is that of an installation.
	InLog(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) (known bool, err error)
}

// Reconciler compares one store with the clicks it is of. It is safe for concurrent use.
type Reconciler struct {
	Store  storage.Store
	Clicks Clicks
	Size   int64 // of windows, ms

	Horizon int64 // ms; the windows of a click and of its repeat start no further apart

	Top   int   // length of ranked lists that a repair makes
	Begin Begin // begins a repair; nil where none can be made
}

// Question says what is compared.
type Question struct {
	From, To int64  // Unix ms
	Source   string // as in recount.Options
}

// Step says what a run is doing.
type Step string

// The steps of a run.
const (
	Comparing Step = "comparing"
	Causes    Step = "looking for causes"
	Copying   Step = "comparing counts by ad with those by window"
)

// run is one comparison.
type run struct {
	*Reconciler
	q      Question
	late   *recount.Gathered
	report Report
	walk   *walk
	found  []*Difference
	lost   []*Difference // records: with room of their own, as what lacks them is no truth to repair by
	folds  map[part]fold
	wrong  map[part]bool // whose counts differ
	tick   func() error  // says again how far it is
	holes  []hole
	beyond int64 // offsets of further holes
}

// part is one window under one filter.
type part struct {
	start  int64
	filter string
}

// Run compares the windows of a range that are closed for good. It tells watch, over and over, how many
// offsets of how many were read, and each of every difference, in the order of time for each
// kind; an error of either ends it.
func (r *Reconciler) Run(ctx context.Context, q Question, watch func(s Step, done, total int64) error, each func(*Difference) error) (Report, error) {
	report, err := r.run(ctx, q, new(recount.Gathered), watch, each)
	if err != nil {
		err = fmt.Errorf("reconcile: %w", err)
	}
	return report, err
}

// run is Run, where something may be known of late clicks of the range. It does not say whose its errors are.
func (r *Reconciler) run(ctx context.Context, q Question, late *recount.Gathered, watch func(s Step, done, total int64) error, each func(*Difference) error) (Report, error) {
	c := run{Reconciler: r, q: q, late: late, folds: map[part]fold{}, wrong: map[part]bool{}}
	err := c.all(ctx, watch, each)
	return c.report, err
}

func (c *run) all(ctx context.Context, said func(s Step, done, total int64) error, each func(*Difference) error) error {
	watch := func(s Step, done, total int64) error {
		c.tick = func() error { return said(s, done, total) }
		return c.tick()
	}
	c.tick = func() error { return watch(Comparing, 0, 1) }
	span, err := c.closed(ctx, c.q)
	c.report = Report{From: span.From, To: span.To, ExactUntil: span.To, Causes: map[cause.Cause]Size{}}
	if err != nil || span.From == span.To {
		return err
	}
	c.walk, err = c.Reconciler.walk(ctx, span.From, func(ctx context.Context, w *recount.Window) error {
		return errors.Join(c.tick(), c.compare(ctx, w))
	})
	if err != nil {
		return err
	}
	c.report.Recount, err = c.Clicks.Recount(ctx, span, recount.Options{Source: c.q.Source, Late: true, Gathered: c.late, Hole: c.hole},
		func(done, total int64) error { return watch(Comparing, done, total) },
		func(w *recount.Window) error { return c.walk.take(ctx, w) })
	if err != nil {
		return err
	}
	if err := c.walk.until(ctx, span.To); err != nil {
		return err
	}
	if err := c.explain(ctx, func(done, total int64) error { return watch(Causes, done, total) }); err != nil {
		return err
	}
	if err := c.rollups(ctx); err != nil {
		return err
	}
	if err := errors.Join(watch(Copying, 0, 1), c.copies(ctx)); err != nil {
		return err
	}
	if err := c.records(ctx); err != nil {
		return err
	}
	for _, d := range append(c.found, c.lost...) {
		c.report.add(d)
		if err := each(d); err != nil {
			return err
		}
	}
	return nil
}

// find notes a difference.
func (c *run) find(d Difference) {
	room := &c.found
	if d.Kind == Record {
		room = &c.lost
	}
	if len(*room) < differencesMost {
		*room = append(*room, &d)
		return
	}
	c.leftOut(d.Start)
}

// leftOut notes something that differs and is not looked into.
func (c *run) leftOut(start int64) {
	c.report.Differences++
	c.report.LeftOut++
	c.report.wrong(start)
}
