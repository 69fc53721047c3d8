package reconcile

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/clickagg/clickagg/internal/stream"
)

// Memory keeps until when a [Keeper] has compared, beyond the life of its process.
type Memory interface {
	// Last is the time that was noted last. Before one was, and after it was lost, it is a day ago: what was due since
	// is then compared, maybe once more.
	Last(ctx context.Context) (time.Time, error)
	// Note notes a time.
	Note(ctx context.Context, at time.Time) error
}

// GroupMemory is a [Memory] beside a group's position in a partition that it does not read, so that who has the partition
// next finds it there.
type GroupMemory struct {
	Log   stream.Log
	Group string
	Of    stream.Partition
	Clock stream.Clock
}

// Last implements [Memory].
func (m GroupMemory) Last(ctx context.Context) (time.Time, error) {
	at, ok, err := m.Log.Committed(ctx, m.Group, m.Of.Topic, m.Of.Number)
	if err != nil {
		return time.Time{}, fmt.Errorf("read until when was compared: %w", err)
	}
	ms, bad := strconv.ParseInt(at.Metadata, 10, 64)
	if !ok || bad != nil { // nobody's, or not one of ours
		return m.Clock.Now().Add(-24 * time.Hour), nil
	}
	return time.UnixMilli(ms), nil
}

// Note implements [Memory]. Its position is the partition's end, so that nobody sees a lag.
func (m GroupMemory) Note(ctx context.Context, at time.Time) error {
	_, end, err := m.Log.Bounds(ctx, m.Of.Topic, m.Of.Number)
	if err == nil {
		err = m.Log.Commit(ctx, m.Group, m.Of.Topic, m.Of.Number, stream.Position{Offset: end, Epoch: stream.NoEpoch, Metadata: strconv.FormatInt(at.UnixMilli(), 10)})
	}
	if err != nil {
		return fmt.Errorf("note until when was compared: %w", err)
	}
	return nil
}
