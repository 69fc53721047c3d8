package reconcile

import (
	"context"
	"strconv"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/recount"
)

var _ recount.Input = (*tail)(nil)

// tail is records with many others behind them, 50 a millisecond from minute 210 on, of which some are late by hours.
type tail struct {
	records
	n    int64
	late int64  // one in so many is of minute 0
	read []int8 // how often each was read
}

func (l *tail) end() int64 { return int64(len(l.records)) + l.n }

func (l *tail) Bounds(context.Context, click.Source) (start, end int64, err error) {
	return 0, l.end(), nil
}

func (l *tail) Since(ctx context.Context, s click.Source, start, end, ms int64) (int64, error) {
	at, err := l.records.Since(ctx, s, start, int64(len(l.records)), ms)
	return min(at, end), err
}

func (l *tail) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	if err := l.records.Read(ctx, s, from, to, f); err != nil {
		return err
	}
	first := int64(len(l.records))
	var value []byte
	for i := max(0, from-first); i < min(l.n, to-first); i++ {
		r := click.Record{Offset: first + i, Append: base + 210*minute + i/50}
		at := r.Append
		if i%l.late == 0 {
			at = base + i%minute
		}
		value = append(value[:0], `{"event_id":"tail-`...)
		value = append(strconv.AppendInt(value, i, 10), `","ad_id":"item-`...)
		value = append(strconv.AppendInt(value, i%1000, 10), `","country":"KR","ts":`...)
		r.Value = append(strconv.AppendInt(value, at, 10), '}')
		l.read[i]++
		if err := f(&r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// withTail is a world with a tail.
func withTail(t testing.TB, n, late int64) (*world, *tail) {
	t.Helper()
	w := some(t)
	l := &tail{records: w.raw, n: n, late: late, read: make([]int8, 2*n)}
	w.in = l
	return w, l
}

// TestRepairOfAnHourAgo: a repair reads what came since once, however often it looks at its range, and what comes meanwhile as well.
func TestRepairOfAnHourAgo(t *testing.T) {
	t.Parallel()
	w, l := withTail(t, 60_000, 20_000)
	w.rows(2, base, minute, "000", click.Row{Ad: []byte("a"), Count: 5})
	runs := 0
	w.again = func() {
		if runs++; runs == 2 {
			l.n += 20_001 // with two more that are late
		}
	}
	lines, done, report, err := w.repair(0, 100, false)
	if err != nil || !report.Clean() || report.Differences > 0 || runs < 4 {
		t.Errorf("%q %+v %+v %v, %d recounts", lines, done, report, err, runs)
	}
	if got := w.cell("000", "item-0", 0); got.Count != 5 {
		t.Errorf("%+v", got)
	}
	for _, i := range []int64{30_000, 59_999, 60_000, 80_000} {
		if l.read[i] != 1 {
			t.Errorf("record %d was read %d times", i, l.read[i])
		}
	}
}

// BenchmarkRepair is how long it takes to repair a range behind which 5 million clicks came.
func BenchmarkRepair(b *testing.B) {
	const clicks = 5_000_000
	for b.Loop() {
		w, l := withTail(b, clicks, 10_000)
		w.rows(2, base, minute, "000", click.Row{Ad: []byte("a"), Count: 5})
		q := Question{From: base, To: base + 100*minute}
		_, report, err := w.reconciler().Repair(b.Context(), q, "me", false, func(Step, int64, int64) error { return nil }, func(*Difference) error { return nil })
		if err != nil || !report.Clean() {
			b.Fatalf("%+v %v", report, err)
		}
		b.ReportMetric(float64(l.read[clicks-1]), "readings")
	}
}
