package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/clickagg/clickagg/internal/stream"
)

// seat is a member's place in one generation of its group, as those who commit need
// it.
type seat struct {
	id         string
	process    string
	generation int32
	// owned has for each partition the position the group had when this member first
	// committed in this generation, or the last it committed since; -1 before.
	owned map[stream.Partition]*atomic.Int64
	left  chan struct{} // closed when there is another seat, or none
}

func newSeat(id, process string, generation int32, owned []stream.Partition) *seat {
	s := &seat{
		id: id, process: process, generation: generation,
		owned: make(map[stream.Partition]*atomic.Int64, len(owned)), left: make(chan struct{}),
	}
	for _, p := range owned {
		s.owned[p] = new(atomic.Int64)
		s.owned[p].Store(-1)
	}
	return s
}

// outside is the seat of who is not in a group: the coordinator takes its commits
// while the group has no members.
var outside = &seat{generation: noGeneration}

// seated calls commit with this process's seat in the group, until the group it sits
// in is the one the coordinator knows. It returns [stream.ErrNotOwner] when the
// partition is not this process's, or may not be any more.
//
// The first commit in a generation looks how far the group is: this member may not
// have known all generations between, in which another owner went farther. A position
// behind that is not committed.
func (l *Log) seated(ctx context.Context, group string, p stream.Partition, offset int64, commit func(context.Context, *seat) error) error {
	v, in := l.members.Load(group)
	if !in {
		return commit(ctx, outside)
	}
	m := v.(*member)
	for {
		s, err := m.sitting(p)
		if err != nil {
			return err
		}
		least := s.owned[p]
		if least.Load() < 0 {
			at, _, err := l.Committed(ctx, group, p.Topic, p.Number)
			if err != nil {
				return err
			}
			least.Store(at.Offset)
		}
		if offset < least.Load() {
			return nil
		}
		switch err := commit(ctx, s); {
		case err == nil:
			least.Store(offset)
			return nil
		case errors.Is(err, kafkago.UnknownMemberId), errors.Is(err, kafkago.FencedInstanceID):
			return fmt.Errorf("%w: %w", stream.ErrNotOwner, err)
		case !errors.Is(err, kafkago.RebalanceInProgress) && !errors.Is(err, kafkago.IllegalGeneration):
			return err
		}
		select {
		case <-s.left:
		case <-time.After(heartbeatEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sitting returns the member's seat if the partition is its own for certain.
func (m *member) sitting(p stream.Partition) (*seat, error) {
	s := m.seat.Load()
	if s == nil || s.owned[p] == nil {
		return nil, fmt.Errorf("%w: %s/%d is not this process's in group %s", stream.ErrNotOwner, p.Topic, p.Number, m.of.Group)
	}
	if silence := m.silence(); silence > m.session {
		return nil, fmt.Errorf("%w: group %s has not answered for %v", stream.ErrNotOwner, m.of.Group, silence.Round(time.Millisecond))
	}
	return s, nil
}
