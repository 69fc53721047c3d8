package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/stream"
)

// TestLive sends clicks of now to one partition: their windows become final by
// themselves, and the partitions that never had a click do not hold back. A late
// click corrects, whichever partition it comes by; the same click again does not.
func TestLive(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t, "--window.size", "1s", "--watermark.delay", "300ms", "--watermark.skew-margin", "100ms", "--watermark.idle-timeout", "200ms",
		"--window.allowed-lateness", "2m", "--dedupe.horizon", "5m", "--aggregator.tick", "100ms", "--mapper.heartbeat", "100ms")
	log := s.dial(ctx)
	send := func(partition int32, id string, at time.Time) {
		m := stream.Message{Partition: partition, Value: fmt.Appendf(nil, `{"event_id":%q,"ad_id":"a","ts":%d}`, id, at.UnixMilli())}
		if err := log.Append(ctx, "clicks", []stream.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	first := time.Now()
	window := first.Truncate(time.Second)
	is := func(status string, count, revision int64) func(*api.Count) bool {
		return func(a *api.Count) bool { return a.Status == status && a.Count == count && a.Revision == revision }
	}
	send(0, "1", first)
	s.completeUntil(ctx, window.Add(time.Second).UnixMilli())
	s.answers(ctx, "a", window, window.Add(time.Second), is(api.Final, 1, 1))

	send(0, "2", first)
	s.answers(ctx, "a", window, window.Add(time.Second), is(api.Final, 2, 2))
	send(3, "3", first)
	s.answers(ctx, "a", window, window.Add(time.Second), is(api.Final, 3, 3))
	send(1, "3", first)
	later := time.Now()
	send(2, "4", later)
	s.completeUntil(ctx, later.Truncate(time.Second).Add(time.Second).UnixMilli())
	s.answers(ctx, "a", later.Truncate(time.Second), later.Truncate(time.Second).Add(time.Second), func(a *api.Count) bool {
		return a.Status == api.Final && a.Count >= 1
	})
	if sum := s.settled(ctx, 5); sum.Counted != 4 || sum.Duplicate != 1 {
		t.Errorf("%+v", sum)
	}
	s.answers(ctx, "a", window, window.Add(time.Second), is(api.Final, 3, 3))
	contains(t, s.must("query", "count", "a", "--from", window.Format(time.RFC3339), "--to", window.Add(time.Second).Format(time.RFC3339)),
		"corrected (revision 3)")

	// So it is after a restart, and time goes on by itself.
	if status := s.stop(); status != 0 {
		t.Errorf("stopped with status %d", status)
	}
	s.start()
	s.ready(ctx)
	s.answers(ctx, "a", window, window.Add(time.Second), is(api.Final, 3, 3))
	s.completeUntil(ctx, time.Now().UnixMilli())
}
