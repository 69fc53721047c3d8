package storage

import (
	"math"

	"github.com/clickagg/clickagg/internal/click"
)

// Held is the time of which a store may have a part of a correction only.
type Held struct {
	From, To int64 // Unix ms, [From, To); nothing when they are equal
	Newest   int64 // number of the newest hold; another one later says that something changed meanwhile
}

// Holds tells whether a part of [from, to) is held.
func (h *Held) Holds(from, to int64) bool { return h.From < h.To && from < h.To && h.From < to }

// HeldBy says what is held by the marks of a store: the time of every hold that is not done
// everywhere. Where marks are of several corrections, because a store is being filled
// again, nobody knows which ones are whole, and all time is held. Marks from before partitions
// or reducers were added only count with a hold that was open and that nobody went on with since.
func HeldBy(marks []Mark) Held {
	partitions, reducers := newest(marks)
	now := func(m *Mark) bool { return m.Partitions == partitions && m.Reducers == reducers }
	var last click.Hold
	oldest := int64(math.MaxInt64)
	for i := range marks {
		if m := &marks[i]; now(m) {
			oldest = min(oldest, m.Hold.Number)
			if m.Hold.Number > last.Number {
				last = m.Hold
			}
		}
	}
	held := Held{Newest: last.Number}
	if last.Number > 0 && oldest < last.Number-1 {
		held.From, held.To = math.MinInt64, math.MaxInt64
		return held
	}
	widen := func(h click.Hold) {
		if held.From == held.To {
			held.From, held.To = h.From, h.To
		}
		held.From, held.To = min(held.From, h.From), max(held.To, h.To)
	}
	if oldest < last.Number {
		widen(last) // it has begun here, and not there
	}
	for i := range marks {
		if m := &marks[i]; m.Hold.Number > 0 && !m.Hold.Done && (now(m) || m.Hold.Number > last.Number) {
			widen(m.Hold)
		}
	}
	return held
}
