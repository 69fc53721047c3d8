package roll

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
)

const (
	minute = 60_000
	hour   = calendar.HourMS
)

// bench is a store and a roller of hours and days of UTC that makes one pass at a time.
// That answers stay right is tested where they are made, in internal/answer.
type bench struct {
	storage.Store
	t       *testing.T
	version int64
	metrics *Metrics
	logger  *zap.Logger
	passes  int
	fault   error // of reading marks, in the first pass
}

func newBench(t *testing.T) *bench {
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &bench{Store: s, t: t, metrics: NewMetrics(nil), logger: zap.NewNop(), passes: 1}
}

// click counts one click more of an ad in a window.
func (b *bench) click(ad string, start int64, touches ...storage.Touch) {
	b.t.Helper()
	b.version++
	r := click.Result{
		Ad: []byte(ad), Start: start, Size: minute, Filter: click.FilterAll, Count: b.version, Revision: 1, State: click.Final, Version: b.version,
	}
	if err := b.Apply(b.t.Context(), &storage.Batch{Results: []click.Result{r}, Touches: touches}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) close(until int64) {
	b.t.Helper()
	mark := storage.Mark{Partitions: 1, Reducers: 1, Watermark: until + hour, Closed: until}
	if err := b.Apply(b.t.Context(), &storage.Batch{Marks: []storage.Mark{mark}}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) roll() {
	b.t.Helper()
	if err := b.run(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) run() error {
	r := New(b, Config{
		Units: []storage.Unit{storage.Hour, storage.Day}, Calendar: calendar.New(time.UTC, time.Minute), Top: 3, Interval: time.Hour,
	}, b, b.metrics, b.logger)
	return r.Run(b.t.Context())
}

// Marks implements storage.Store.
func (b *bench) Marks(ctx context.Context) ([]storage.Mark, error) {
	if err := b.fault; err != nil {
		b.fault = nil
		return nil, err
	}
	return b.Store.Marks(ctx)
}

// Now and Sleep make the bench a clock with which a run has so many passes.
func (b *bench) Now() time.Time { return time.Time{} }

func (b *bench) Sleep(context.Context, time.Duration) error {
	if b.passes--; b.passes > 0 {
		return nil
	}
	b.passes = 1
	return errors.New("enough")
}

// made lists the hours, or days, that are rolled up and may be answered from.
func (b *bench) made(u storage.Unit) string {
	b.t.Helper()
	rolled, err := b.Rollups(b.t.Context(), u.Series(click.FilterAll), math.MinInt64, math.MaxInt64)
	touches, touchErr := b.Touches(b.t.Context(), math.MinInt64, math.MaxInt64)
	if err := errors.Join(err, touchErr); err != nil {
		b.t.Fatal(err)
	}
	var starts []int64
	for _, r := range rolled {
		if version, settled := storage.VersionOf(touches, r.Start, r.End); settled && r.Version == version {
			starts = append(starts, r.Start/hour)
		}
	}
	return fmt.Sprint(starts)
}

func (b *bench) want(hours, days string) {
	b.t.Helper()
	if h, d := b.made(storage.Hour), b.made(storage.Day); h != hours || d != days {
		b.t.Fatalf("hours %s and days %s are rolled up, want %s and %s", h, d, hours, days)
	}
}

// TestOnlyWhatIsClosed: an hour is rolled up when all of it is closed, a day likewise.
func TestOnlyWhatIsClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.roll()
	b.want("[]", "[]")
	b.click("a", 22*hour)
	b.click("a", 23*hour)
	b.click("a", 24*hour)
	b.close(23*hour - 1)
	b.roll()
	b.want("[]", "[]")
	b.close(23 * hour)
	b.roll()
	b.want("[22]", "[]")
	b.close(24 * hour)
	b.roll()
	b.want("[22 23]", "[0]")
	if n := testutil.ToFloat64(b.metrics.rollups.WithLabelValues("1h")); n != 2 {
		t.Errorf("%v hours were counted", n)
	}
}

// TestDigestsAddUp: what is rolled up has the digest of all its clicks, unless one is not known.
func TestDigestsAddUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	row := func(ad string, start int64, count int64, digest uint64) click.Result {
		return click.Result{
			Ad: []byte(ad), Start: start, Size: minute, Filter: click.FilterAll, Count: count, Digest: digest, Revision: 1, State: click.Final, Version: 1,
		}
	}
	rows := []click.Result{
		row("a", 0, 2, 1<<63), row("a", minute, 1, 1<<63+7), row("a", 5*hour, 1, 3),
		row("b", 0, 2, 5), row("b", minute, 1, 0), row("b", 5*hour, 1, 3),
	}
	if err := b.Apply(t.Context(), &storage.Batch{Results: rows}); err != nil {
		t.Fatal(err)
	}
	b.close(1000 * hour)
	b.roll()
	for _, want := range []struct {
		ad   string
		unit storage.Unit
		sum  click.Sum
	}{
		{"a", storage.Hour, click.Sum{Count: 3, Digest: 7}},
		{"a", storage.Day, click.Sum{Count: 4, Digest: 10}},
		{"b", storage.Hour, click.Sum{Count: 3}},
		{"b", storage.Day, click.Sum{Count: 4}},
	} {
		cells, err := b.Count(t.Context(), want.unit.Series(click.FilterAll), []byte(want.ad), 0, 1)
		if err != nil || len(cells) != 1 || cells[0].Sum() != want.sum {
			t.Errorf("%s in a %v: %+v, %v", want.ad, want.unit, cells, err)
		}
	}
}

// TestGaps: short times without a click are rolled up, long ones passed over, and nothing is
// after the last click.
func TestGaps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.click("a", 0)
	b.click("a", 3*hour)
	b.click("a", 28*hour)
	b.close(1000 * hour)
	b.roll()
	b.want("[0 1 2 3 28]", "[0 24]")
}

// TestTouchedIsRolledAgain: what changed is not answered from until it was rolled up again, also
// when it had no click before, and not while some of it may be missing.
func TestTouchedIsRolledAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.click("a", 0)
	b.click("a", 30*hour)
	b.click("a", 90*hour)
	b.close(48 * hour)
	b.roll()
	b.want("[0 30]", "[0 24]")
	b.click("a", 0, storage.Touch{Hour: 0, Partition: 1, Offset: 7})
	b.click("b", 31*hour, storage.Touch{Hour: 31 * hour, Offset: 8})
	b.want("[30]", "[]")
	b.passes = 2 // in the second there is nothing left to do
	b.roll()
	b.want("[0 30 31]", "[0 24]")
	if n := testutil.ToFloat64(b.metrics.rollups.WithLabelValues("24h")); n != 4 {
		t.Errorf("%v days were made", n)
	}
	open := &opened{b.Store}
	b.Store = open
	b.click("a", 0, storage.Touch{Hour: 0, Partition: 1, Offset: 9})
	b.roll()
	b.want("[30 31]", "[24]")
	b.Store = open.Store
	b.roll()
	b.want("[0 30 31]", "[0 24]")
}

// opened is a store whose touches are open.
type opened struct{ storage.Store }

func (o *opened) Touches(ctx context.Context, from, to int64) ([]storage.Touch, error) {
	touches, err := o.Store.Touches(ctx, from, to)
	for i := range touches {
		touches[i].Open = touches[i].Offset == 9
	}
	return touches, err
}

// TestWaitsForAStoreThatIsAway: it says so once, and goes on.
func TestWaitsForAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	core, logs := observer.New(zap.InfoLevel)
	b.logger = zap.New(core)
	b.click("a", 0)
	b.close(hour)
	b.fault, b.passes = storage.ErrUnavailable, 3
	b.roll()
	b.want("[0]", "[]")
	var said []string
	for _, l := range logs.All() {
		said = append(said, l.Level.String())
	}
	if !slices.Equal(said, []string{"warn", "info"}) {
		t.Errorf("said %v", logs.All())
	}
}

// TestEndsWhenTheStoreNeverTakesIt: that is a fault of this program.
func TestEndsWhenTheStoreNeverTakesIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fault = storage.ErrInvalid
	if err := b.run(); !errors.Is(err, storage.ErrInvalid) {
		t.Error(err)
	}
}
