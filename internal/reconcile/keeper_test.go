package reconcile

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/schedule"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// away is a store that is away for some calls.
type away struct {
	storage.Store
	calls *atomic.Int32
}

func (a away) Marks(ctx context.Context) ([]storage.Mark, error) {
	if a.calls.Add(1) == 2 {
		return nil, storage.ErrUnavailable
	}
	return []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: 1 << 50, Closed: 1 << 50}}, nil
}

func (away) Counted(context.Context) ([]string, error) { return []string{click.FilterAll}, nil }

func (away) Rankings(context.Context, string, int64, int64, int) ([]click.Ranking, error) {
	return nil, nil
}

func (away) Touches(context.Context, int64, int64) ([]storage.Touch, error) { return nil, nil }

func (away) Rollups(context.Context, string, int64, int64) ([]storage.Rollup, error) { return nil, nil }

func (away) Copies(context.Context, int64, int64, func(string, *storage.Cell) error) (bool, error) {
	return false, nil
}

// Scan has one count in one minute.
func (away) Scan(_ context.Context, _ string, from, to int64, f func(*storage.Cell) error) error {
	if at := time.Date(2000, 1, 1, 0, 30, 0, 0, time.UTC).UnixMilli(); from <= at && at < to {
		return f(&storage.Cell{Ad: []byte("x"), Start: at, Count: 2, Digest: 1})
	}
	return nil
}

// nothing is clicks of which there are none.
type nothing struct{ spans *[]recount.Range }

func (n nothing) Recount(_ context.Context, span recount.Range, _ recount.Options, _ func(done, total int64) error, _ func(*recount.Window) error) (recount.Report, error) {
	*n.spans = append(*n.spans, span)
	return recount.Report{Whole: true, Sources: 1}, nil
}

func (nothing) InLog(context.Context, click.Source, int64, int64, func(*click.Record) error) (bool, error) {
	return false, errors.New("not asked")
}

func (nothing) Restore(context.Context, click.Source, int64, int64) error {
	return errors.New("not asked")
}

// TestKeeper: it runs when it is due, again soon after a run that failed, and says what it found in
// log and figures.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC of 2000-01-01
		var calls atomic.Int32
		var spans []recount.Range
		hourly, err := schedule.Parse("1h")
		if err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.InfoLevel)
		k := Keeper{
			Reconciler: &Reconciler{Store: away{calls: &calls}, Clicks: nothing{&spans}, Size: minute, Horizon: 10 * minute},
			Schedule:   hourly, Zone: time.UTC, Range: 40 * time.Minute, Clock: stream.Wall{}, Metrics: NewMetrics(prometheus.NewRegistry()), Logger: zap.New(core),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		begin := time.Now()
		go func() { done <- k.Run(ctx) }()
		at := func(d time.Duration, runs int) {
			t.Helper()
			time.Sleep(time.Until(begin.Add(d)))
			synctest.Wait()
			if int(calls.Load()) != runs || !k.AtWork() {
				t.Errorf("%d runs after %v, want %d; at work: %v", calls.Load(), d, runs, k.AtWork())
			}
		}
		at(59*time.Minute, 0)
		at(time.Hour, 1) // finds the count
		if n := logs.FilterMessage("what is stored is not what the clicks come to").Len(); n != 1 {
			t.Errorf("the log has %d findings", n)
		}
		m := k.Metrics
		figures := func(differences, clicks, exact, last, wrong, clean, failed float64) {
			t.Helper()
			for i, c := range []struct {
				of   prometheus.Collector
				want float64
			}{
				{m.differences.WithLabelValues("missing_from_raw"), differences},
				{m.clicks.WithLabelValues("missing_from_raw"), clicks},
				{m.exact, exact},
				{m.last, last},
				{m.runs.WithLabelValues(outcomeWrong), wrong},
				{m.runs.WithLabelValues(outcomeClean), clean},
				{m.runs.WithLabelValues(outcomeFailed), failed},
			} {
				if got := testutil.ToFloat64(c.of); got != c.want {
					t.Errorf("figure %d is %f, want %f", i, got, c.want)
				}
			}
		}
		unix := func(d time.Duration) float64 { return float64(begin.Add(d).Unix()) }
		figures(1, 2, unix(30*time.Minute), unix(time.Hour), 1, 0, 0)
		at(2*time.Hour, 2) // the store is away
		at(2*time.Hour+5*time.Minute, 3)
		at(3*time.Hour, 4)
		figures(0, 0, unix(3*time.Hour), unix(3*time.Hour), 1, 2, 1)
		cancel()
		if err := <-done; err != nil || k.AtWork() {
			t.Errorf("%v, at work: %v", err, k.AtWork())
		}
		if n := testutil.CollectAndCount(m.differences) + testutil.CollectAndCount(m.clicks); n != 0 {
			t.Errorf("%d figures of differences are left to a process that looks no more", n)
		}
		first := spans[0]
		if len(spans) != 4 || first.To-first.From != 40*minute || first.To != begin.Add(time.Hour).UnixMilli() {
			t.Errorf("%+v", spans) // the first looks for causes as well
		}
	})
}
