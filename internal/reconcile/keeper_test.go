package reconcile

import (
	"context"
	"errors"
	"slices"
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
	"github.com/clickagg/clickagg/internal/stream/memory"
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

// remembered is away at first, if it is to be.
type remembered struct {
	last  time.Time
	away  int // calls
	noted []time.Time
}

func (m *remembered) Last(context.Context) (time.Time, error) {
	if m.away--; m.away >= 0 {
		return time.Time{}, errors.New("away")
	}
	return m.last, nil
}

func (m *remembered) Note(_ context.Context, at time.Time) error {
	m.last, m.noted = at, append(m.noted, at)
	return nil
}

// TestKeeperMakesUp: what was due while no process ran it is compared at once, night by night, but no further back than a week,
// and noted; where ranges overlap those are left out that others cover.
func TestKeeperMakesUp(t *testing.T) {
	t.Parallel()
	const night = 24 * time.Hour
	for name, c := range map[string]struct {
		schedule string
		back     time.Duration // of the range
		down     time.Duration // since the last was noted
		away     int
		want     []time.Duration // the ends of the ranges, before the process started
	}{
		"nothing was missed":               {schedule: "02:00", back: 26 * time.Hour, down: 9 * time.Hour},
		"a night":                          {schedule: "02:00", back: 26 * time.Hour, down: night, want: []time.Duration{10 * time.Hour}},
		"a night, and the log is away":     {schedule: "02:00", back: 26 * time.Hour, down: night, away: 2, want: []time.Duration{10 * time.Hour}},
		"three nights":                     {schedule: "02:00", back: 26 * time.Hour, down: 3 * night, want: []time.Duration{58 * time.Hour, 34 * time.Hour, 10 * time.Hour}},
		"three nights, with longer ranges": {schedule: "02:00", back: 72 * time.Hour, down: 3 * night, want: []time.Duration{10 * time.Hour}},
		"a year":                           {schedule: "24h", back: 24 * time.Hour, down: 365 * night, want: []time.Duration{156 * time.Hour, 132 * time.Hour, 108 * time.Hour, 84 * time.Hour, 60 * time.Hour, 36 * time.Hour, 12 * time.Hour}},
		"ranges that just meet":            {schedule: "12h", back: 24 * time.Hour, down: 36 * time.Hour, want: []time.Duration{24 * time.Hour, 12 * time.Hour, 0}},
		"hours, with a day's range":        {schedule: "1h", back: 24 * time.Hour, down: 5 * time.Hour, want: []time.Duration{0}},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(60*night + 12*time.Hour) // it is noon of 2000-03-01
			when, err := schedule.Parse(c.schedule)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			var calls atomic.Int32
			calls.Store(2) // the store is not away
			var spans []recount.Range
			m := &remembered{last: begin.Add(-c.down), away: c.away}
			k := Keeper{
				Reconciler: &Reconciler{Store: away{calls: &calls}, Clicks: nothing{&spans}, Size: minute, Horizon: 10 * minute},
				Schedule:   when, Zone: time.UTC, Range: c.back, Memory: m, Clock: stream.Wall{}, Metrics: NewMetrics(nil), Logger: zap.NewNop(),
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- k.Run(ctx) }()
			time.Sleep(time.Duration(c.away) * retryWait)
			synctest.Wait()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			var got []time.Duration
			for i, at := range m.noted {
				got = append(got, begin.Sub(at))
				if span := spans[i]; span.To != at.UnixMilli() || span.To-span.From != c.back.Milliseconds() {
					t.Errorf("%s: %+v was compared, and %v noted", name, span, at)
				}
			}
			if !slices.Equal(got, c.want) || len(spans) != len(got) {
				t.Errorf("%s: %v, want %v; %d comparisons", name, got, c.want, len(spans))
			}
			if failed := testutil.ToFloat64(k.Metrics.runs.WithLabelValues(outcomeFailed)); int(failed) != c.away {
				t.Errorf("%s: %f runs failed", name, failed)
			}
		})
	}
}

// TestKeeperFigures: what is found in a night that is made up for stays in the figures while others are, and while nothing is there to
// compare, until the next night is compared.
func TestKeeperFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now() // midnight UTC of 2000-01-01
		time.Sleep(60 * time.Hour)
		daily, err := schedule.Parse("24h")
		if err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int32
		calls.Store(2)
		var spans []recount.Range
		k := Keeper{
			Reconciler: &Reconciler{Store: away{calls: &calls}, Clicks: nothing{&spans}, Size: minute, Horizon: 10 * minute},
			Schedule:   daily, Zone: time.UTC, Range: 24 * time.Hour, Memory: &remembered{last: begin}, Clock: stream.Wall{}, Metrics: NewMetrics(nil), Logger: zap.NewNop(),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.Run(ctx) }()
		look := func(runs int, differences, clicks float64) {
			t.Helper()
			synctest.Wait()
			if got := testutil.ToFloat64(k.Metrics.differences.WithLabelValues("missing_from_raw")); got != differences || int(calls.Load())-2 != runs {
				t.Errorf("%f differences after %d runs, want %f after %d", got, calls.Load()-2, differences, runs)
			}
			if got := testutil.ToFloat64(k.Metrics.clicks.WithLabelValues("missing_from_raw")); got != clicks {
				t.Errorf("%f clicks, want %f", got, clicks)
			}
		}
		look(2, 1, 2) // of the first of two nights
		k.Metrics.ran(time.Now(), &Report{From: 1, To: 1}, false)
		look(2, 1, 2)
		time.Sleep(12 * time.Hour)
		look(3, 0, 0)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestKeeperClock: a time that was noted by a clock that was ahead does not put off what is due.
func TestKeeperClock(t *testing.T) {
	t.Parallel()
	nightly, err := schedule.Parse("02:00")
	if err != nil {
		t.Fatal(err)
	}
	k := Keeper{Reconciler: &Reconciler{}, Schedule: nightly, Zone: time.UTC, Range: 26 * time.Hour}
	now := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, last := range []time.Time{now, now.AddDate(1, 0, 0)} {
		if got, want := k.due(last, now), now.Add(14*time.Hour); !got.Equal(want) {
			t.Errorf("after %v the next is due at %v, want %v", last, got, want)
		}
	}
}

// TestGroupMemory: what was noted is there for whoever comes next; without it, a day is looked back.
func TestGroupMemory(t *testing.T) {
	t.Parallel()
	log := new(memory.Log)
	log.Create("control", 1)
	now := time.UnixMilli(base)
	m := GroupMemory{Log: log, Group: "g", Of: stream.Partition{Topic: "control"}, Clock: at(now)}
	look := func(want time.Time) {
		t.Helper()
		if got, err := m.Last(t.Context()); err != nil || !got.Equal(want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	look(now.Add(-24 * time.Hour))
	if err := log.Append(t.Context(), "control", []stream.Message{{Value: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{now.Add(time.Hour), now.Add(2 * time.Hour)} {
		if err := m.Note(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		look(at)
	}
	if p, _, err := log.Committed(t.Context(), "g", "control", 0); err != nil || p.Offset != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := log.Commit(t.Context(), "g", "control", 0, stream.Position{Metadata: "somebody else's"}); err != nil {
		t.Fatal(err)
	}
	look(now.Add(-24 * time.Hour))
}

// at is a clock that stands still.
type at time.Time

func (a at) Now() time.Time                             { return time.Time(a) }
func (a at) Sleep(context.Context, time.Duration) error { return nil }

// TestEmptyIsNotUnsure: a range in which nothing is closed is no reason to alarm anybody.
func TestEmptyIsNotUnsure(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Report{
		outcomeEmpty: {From: 1, To: 1}, outcomeUnsure: {From: 1, To: 2}, outcomeWrong: {From: 1, To: 2, Unexplained: 1},
		outcomeClean: {From: 1, To: 2, Recount: recount.Report{Sources: 1, Whole: true}},
	} {
		if got := r.outcome(); got != want {
			t.Errorf("%+v is %s, not %s", r, got, want)
		}
	}
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
			Schedule:   hourly, Zone: time.UTC, Range: 40 * time.Minute, Memory: &remembered{last: time.Now()}, Clock: stream.Wall{}, Metrics: NewMetrics(prometheus.NewRegistry()), Logger: zap.New(core),
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
