package reconcile

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/schedule"
	"github.com/clickagg/clickagg/internal/stream"
)

// Keeper runs a Reconciler again and again. What was due while no process ran it is made up, back to a week.
type Keeper struct {
	*Reconciler
	Schedule schedule.Schedule
	Zone     *time.Location // of the schedule's days
	Range    time.Duration  // how far back each run goes
	Memory   Memory
	Clock    stream.Clock
	Metrics  *Metrics
	Logger   *zap.Logger

	atWork atomic.Bool
}

const (
	retryWait  = 5 * time.Minute    // after a run that failed
	spoken     = 20                 // differences that the log names one by one
	missedMost = 7 * 24 * time.Hour // how far back what was missed is made up: of more the topics have no clicks, with the retention they have by default
)

// AtWork tells whether Run is running.
func (k *Keeper) AtWork() bool { return k.atWork.Load() }

// Run compares when it is due, until ctx ends. A run that fails is tried again.
func (k *Keeper) Run(ctx context.Context) error {
	k.atWork.Store(true)
	defer func() {
		k.Metrics.forget()
		k.atWork.Store(false)
	}()
	begun := k.Clock.Now()
	for ctx.Err() == nil {
		last, err := k.Memory.Last(ctx)
		if err == nil {
			err = k.from(ctx, last, begun)
		}
		if ctx.Err() != nil {
			return nil
		}
		k.Metrics.runs.WithLabelValues(outcomeFailed).Inc()
		k.Logger.Warn("what is stored could not be held against the clicks; it is tried again", zap.Error(err))
		_ = k.Clock.Sleep(ctx, retryWait) // an error is that of ctx
	}
	return nil
}

// from compares what is due after a time, until a run fails or ctx ends. What all of those found that were due before the
// process begun stands together in the figures, until the next one.
func (k *Keeper) from(ctx context.Context, last, begun time.Time) error {
	for {
		now := k.Clock.Now()
		due := k.due(last, now)
		if err := k.Clock.Sleep(ctx, due.Sub(now)); err != nil { // not at all for what was missed
			return err
		}
		if err := k.once(ctx, due, due.Before(begun)); err != nil {
			return err
		}
		if last = due; ctx.Err() == nil {
			if err := k.Memory.Note(ctx, due); err != nil {
				k.Logger.Warn("until when what is stored was held against the clicks is not remembered; after a restart it is done again", zap.Error(err))
			}
		}
	}
}

// due is the time whose range is to be compared next, when all up to last was, but for the windows just before it, which were not
// closed yet. Of those that are over, some are left out where the range of a later one has no gap to what was compared.
func (k *Keeper) due(last, now time.Time) time.Time {
	if last.After(now) { // by a clock that has been put right since
		last = now
	}
	if least := now.Add(-missedMost); last.Before(least) {
		last = least
	}
	compared := last.Add(-time.Duration(k.Horizon) * time.Millisecond) // in which windows close
	due := k.Schedule.Next(last.In(k.Zone))
	for next := k.Schedule.Next(due); !next.After(now) && !next.Add(-k.Range).After(compared); next = k.Schedule.Next(next) {
		due = next
	}
	return due
}

// once compares what lies within the range before a time; missed tells that it was due long ago.
func (k *Keeper) once(ctx context.Context, to time.Time, missed bool) error {
	n := 0
	report, err := k.Reconciler.Run(ctx, Question{From: to.Add(-k.Range).UnixMilli(), To: to.UnixMilli()},
		func(Step, int64, int64) error { return ctx.Err() },
		func(d *Difference) error {
			if n++; d.Explained() || n > spoken {
				return nil
			}
			k.Logger.Error("what is stored is not what the clicks come to", zap.String("what", string(d.Kind)), zap.Time("time", time.UnixMilli(d.Start).UTC()),
				zap.String("filter", d.Filter), zap.String("ad", d.Ad), zap.Int64("stored", d.Stored.Count), zap.Int64("clicks", d.Raw.Count), zap.Any("causes", d.Parts))
			return nil
		})
	if err != nil {
		return err
	}
	k.Metrics.ran(k.Clock.Now(), &report, missed)
	say := k.Logger.Info
	if !report.Clean() && report.outcome() != outcomeEmpty {
		say = k.Logger.Error
	}
	say("held against the clicks", zap.String("outcome", report.outcome()), zap.Time("from", time.UnixMilli(report.From).UTC()), zap.Time("to", time.UnixMilli(report.To).UTC()),
		zap.Int64("counts", report.Rows), zap.Int64("clicks", report.Stored), zap.Int64("differences", report.Differences), zap.Int64("unexplained", report.Unexplained))
	return nil
}
