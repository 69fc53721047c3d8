package board

import (
	"slices"
	"sync/atomic"
)

// Board holds one slot per part. The zero Board is empty and ready.
type Board[V any] struct {
	slots atomic.Pointer[[]*Slot[V]]
}

// Slot is one part's place on the board.
type Slot[V any] struct {
	board *Board[V]
	value atomic.Pointer[V]
}

// Slot adds a place for a part.
func (b *Board[V]) Slot() *Slot[V] {
	s := &Slot[V]{board: b}
	b.replace(func(list []*Slot[V]) []*Slot[V] { return append(list, s) })
	return s
}

// Drop takes the place of a part that has ended off its board.
func (s *Slot[V]) Drop() {
	s.board.replace(func(list []*Slot[V]) []*Slot[V] {
		return slices.DeleteFunc(list, func(other *Slot[V]) bool { return other == s })
	})
}

// replace changes a copy of the list. Parts come and go in goroutines of their
// own, so it is done over until the replacement holds.
func (b *Board[V]) replace(change func([]*Slot[V]) []*Slot[V]) {
	for {
		old := b.slots.Load()
		var list []*Slot[V]
		if old != nil {
			list = slices.Clone(*old)
		}
		list = change(list)
		if b.slots.CompareAndSwap(old, &list) {
			return
		}
	}
}

// Put replaces what the part says. It keeps v: the caller must not change it any more.
func (s *Slot[V]) Put(v *V) { s.value.Store(v) }

// Values returns what the parts last said, in the order in which they came;
// parts that said nothing yet are left out.
func (b *Board[V]) Values() []*V {
	var out []*V
	if list := b.slots.Load(); list != nil {
		for _, s := range *list {
			if v := s.value.Load(); v != nil {
				out = append(out, v)
			}
		}
	}
	return out
}
