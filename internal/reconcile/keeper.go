package reconcile

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/schedule"
	"github.com/clickagg/clickagg/internal/stream"
)

// Keeper runs a Reconciler again and again.
type Keeper struct {
	*Reconciler
	Schedule schedule.Schedule
	Zone     *time.Location // of the schedule's days
	Range    time.Duration  // how far back each run goes
	Clock    stream.Clock
	Metrics  *Metrics
	Logger   *zap.Logger

	atWork atomic.Bool
}

const (
	retryWait = 5 * time.Minute // after a run that failed, unless the next is due sooner
	spoken    = 20              // differences that the log names one by one
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
	failed := false
	for {
		now := k.Clock.Now()
		due := k.Schedule.Next(now.In(k.Zone))
		if soon := now.Add(retryWait); failed && soon.Before(due) {
			due = soon
		}
		if k.Clock.Sleep(ctx, due.Sub(now)) != nil {
			return nil
		}
		err := k.once(ctx, due)
		if ctx.Err() != nil {
			return nil
		}
		if failed = err != nil; failed {
			k.Metrics.runs.WithLabelValues(outcomeFailed).Inc()
			k.Logger.Warn("what is stored could not be held against the clicks; it is tried again", zap.Error(err))
		}
	}
}

// once compares what lies within the range before a time.
func (k *Keeper) once(ctx context.Context, to time.Time) error {
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
	k.Metrics.ran(k.Clock.Now(), &report)
	say := k.Logger.Info
	if !report.Clean() && report.From < report.To {
		say = k.Logger.Error
	}
	say("held against the clicks", zap.String("outcome", report.outcome()), zap.Time("from", time.UnixMilli(report.From).UTC()), zap.Time("to", time.UnixMilli(report.To).UTC()),
		zap.Int64("counts", report.Rows), zap.Int64("clicks", report.Stored), zap.Int64("differences", report.Differences), zap.Int64("unexplained", report.Unexplained))
	return nil
}
