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
	m.seat.Store(newSeat("id", "p", 7, []stream.Partition{mine}, nil))
	sits(mine, true)
	sits(other, false)
	m.aliveAt(time.Now().Add(-59 * time.Second))
	sits(mine, true)
	m.aliveAt(time.Now().Add(-61 * time.Second))
	sits(mine, false)
}

// TestStake: a member that owns a partition again, after a generation it missed in
// which another had it, learns of that with its next commit, once.
func TestStake(t *testing.T) {
	t.Parallel()
	mine, lost := stream.Partition{Topic: "t", Number: 0}, stream.Partition{Topic: "t", Number: 1}
	at := func(offset int64, metadata string) stream.Position {
		return stream.Position{Offset: offset, Metadata: metadata}
	}
	first := newSeat("id", "p", 7, []stream.Partition{mine, lost}, nil)
	k := first.owned[mine]
	if err := k.look(at(5, "other"), at(5, "mine")); err != nil { // it has just begun
		t.Error(err)
	}
	left := at(9, "mine")
	k.last.Store(&left)
	first.owned[lost].last.Store(&left)
	second := newSeat("id", "p", 8, []stream.Partition{mine}, first)
	third := newSeat("id", "p", 9, []stream.Partition{mine, lost}, second)
	for name, c := range map[string]struct {
		found, next stream.Position
		moved       bool
	}{
		"as it was left":                 {left, at(12, "mine"), false},
		"the answer was lost":            {at(12, "mine"), at(12, "mine"), false},
		"another went on":                {at(11, "other"), at(12, "mine"), true},
		"another only began":             {at(9, "other"), at(12, "mine"), true},
		"it was lost, and another began": {at(0, ""), at(12, "mine"), true},
	} {
		k := third.owned[mine]
		k.last.Store(&left)
		if err := k.look(c.found, c.next); errors.Is(err, stream.ErrNotOwner) != c.moved {
			t.Errorf("%s: %v", name, err)
		}
		if err := k.look(c.found, at(13, "mine")); c.moved && err != nil {
			t.Errorf("%s: told twice: %v", name, err)
		}
	}
	if third.owned[lost] == first.owned[lost] || third.owned[lost].look(at(20, "other"), at(20, "mine")) != nil {
		t.Error("a partition that was given up is the same when it comes back")
	}
}
