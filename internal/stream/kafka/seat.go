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
	owned      map[stream.Partition]*stake
	left       chan struct{} // closed when there is another seat, or none
}

// stake is what a member knows of the group's position in a partition, for as long
// as the partition is its own without a break that it knows of.
type stake struct {
	looked atomic.Int32 // generation in which it was looked at last
	least  atomic.Int64 // the offset that was found then, or the last committed since
	last   atomic.Pointer[stream.Position]
}

// newSeat is the seat that follows one, or nil. What was owned in that one is not
// owned anew.
func newSeat(id, process string, generation int32, owned []stream.Partition, before *seat) *seat {
	s := &seat{
		id: id, process: process, generation: generation,
		owned: make(map[stream.Partition]*stake, len(owned)), left: make(chan struct{}),
	}
	for _, p := range owned {
		if before != nil {
			s.owned[p] = before.owned[p]
		}
		if s.owned[p] == nil {
			s.owned[p] = new(stake)
			s.owned[p].looked.Store(noGeneration)
		}
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
// behind that is not committed. When the position is another than this member left it
// at, who asks is told that it is not the owner: it must begin anew from there, for
// what it goes on with is not what the group knows.
func (l *Log) seated(ctx context.Context, group string, p stream.Partition, at stream.Position, commit func(context.Context, *seat) error) error {
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
		k := s.owned[p]
		if k.looked.Load() != s.generation {
			found, _, err := l.Committed(ctx, group, p.Topic, p.Number)
			if err != nil {
				return err
			}
			if err := k.look(found, at); err != nil {
				return fmt.Errorf("%w: %s/%d in group %s", err, p.Topic, p.Number, group)
			}
			k.least.Store(found.Offset)
			k.looked.Store(s.generation)
		}
		if at.Offset < k.least.Load() {
			return nil
		}
		switch err := commit(ctx, s); {
		case err == nil:
			k.least.Store(at.Offset)
			k.last.Store(&at)
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

// look holds the position that was found against the one this member left, and
// the one it is about to commit, whose answer may have been lost.
func (k *stake) look(found, at stream.Position) error {
	same := func(p stream.Position) bool { return p.Offset == found.Offset && p.Metadata == found.Metadata }
	last := k.last.Load()
	if last == nil || same(*last) || same(at) {
		return nil
	}
	k.last.Store(&found) // who begins anew begins there
	return fmt.Errorf("%w, which has committed offset %d, and back", stream.ErrNotOwner, found.Offset)
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
