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
// again, nobody knows which ones are whole, and all time is held.
func HeldBy(marks []Mark) Held {
	var newest click.Hold
	oldest := int64(math.MaxInt64)
	for i := range marks {
		if h := marks[i].Hold; h.Number > newest.Number {
			newest = h
		}
		oldest = min(oldest, marks[i].Hold.Number)
	}
	held := Held{Newest: newest.Number}
	switch {
	case newest.Number == 0:
		return held
	case oldest < newest.Number-1:
		held.From, held.To = math.MinInt64, math.MaxInt64
		return held
	}
	widen := func(h click.Hold) {
		if held.From == held.To {
			held.From, held.To = h.From, h.To
		}
		held.From, held.To = min(held.From, h.From), max(held.To, h.To)
	}
	if oldest < newest.Number {
		widen(newest) // it has begun here, and not there
	}
	for i := range marks {
		if h := marks[i].Hold; h.Number > 0 && !h.Done {
			widen(h)
		}
	}
	return held
}
