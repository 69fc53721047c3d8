package answer

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/roll"
)

// TestDaysOfTwoZones: days of a zone that is not configured any more lie across those of
// the new one, and no click counts twice.
func TestDaysOfTwoZones(t *testing.T) {
	t.Parallel()
	s, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const from, to = 20_000 * 24 * hours, 20_004 * 24 * hours
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	r := New(s, time.Minute)
	var clicks int64
	for at, zones := int64(from), []*time.Location{time.UTC, tokyo}; at < to; at += 2 * 24 * hours {
		b := storage.Batch{Marks: []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: at + 2*24*hours, Closed: at + 2*24*hours}}}
		for start := at; start < at+2*24*hours; start += hours {
			for ad := range int64(3) {
				b.Results = append(b.Results, click.Result{
					Ad: fmt.Append(nil, "ad", ad), Start: start, Size: minute, Filter: click.FilterAll, Count: 1 + ad, Revision: 1, State: click.Final, Version: 1,
				})
				clicks += 1 + ad
			}
		}
		if err := s.Apply(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		units := []storage.Unit{storage.Hour, storage.Day}
		zone := zones[(at-from)/(2*24*hours)]
		if err := roll.New(s, roll.Config{Units: units, Calendar: calendar.New(zone, time.Minute), Top: 1}, stopped{}, roll.NewMetrics(nil), zap.NewNop()).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for end := int64(from + hours); end <= to; end += hours {
		n := (end - from) / hours
		got, err := r.Count(t.Context(), click.FilterAll, []byte("ad1"), from, end)
		if err != nil || got.Clicks != 2*n {
			t.Errorf("%d hours: %d clicks, %v, want %d", n, got.Clicks, err, 2*n)
		}
		top, err := r.Top(t.Context(), click.FilterAll, 2, from, end)
		if want := fmt.Sprintf("ad2:%d ad1:%d ", 3*n, 2*n); err != nil || !top.Exact || format(top.Rows) != want {
			t.Errorf("%d hours: %s, %v, want %s", n, format(top.Rows), err, want)
		}
	}
}
