package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/stream"
)

// TestSitting: a process that was stopped notices by its own clock, before it has
// heard from anybody, that its partitions may be another's.
func TestSitting(t *testing.T) {
	t.Parallel()
	mine, other := stream.Partition{Topic: "t", Number: 0}, stream.Partition{Topic: "t", Number: 1}
	m := &member{session: time.Minute, began: time.Now().Add(-time.Hour)}
	sits := func(p stream.Partition, want bool) {
		t.Helper()
		s, err := m.sitting(p)
		if want && (err != nil || s.generation != 7) || !want && !errors.Is(err, stream.ErrNotOwner) {
			t.Errorf("%v: %v", p, err)
		}
	}
	m.aliveAt(time.Now())
	sits(mine, false)
	m.seat.Store(newSeat("id", "p", 7, []stream.Partition{mine}))
	sits(mine, true)
	sits(other, false)
	m.aliveAt(time.Now().Add(-59 * time.Second))
	sits(mine, true)
	m.aliveAt(time.Now().Add(-61 * time.Second))
	sits(mine, false)
}
