package board

import "sync/atomic"

// Board holds one slot per part. The zero Board is empty and ready.
type Board[V any] struct {
	slots atomic.Pointer[[]*Slot[V]]
}

// Slot is one part's place on the board.
type Slot[V any] struct {
	value atomic.Pointer[V]
}

// Slot adds a place for a part. Parts start from goroutines of their own, so the
// list is replaced until the replacement holds.
func (b *Board[V]) Slot() *Slot[V] {
	s := new(Slot[V])
	for {
		old := b.slots.Load()
		var list []*Slot[V]
		if old != nil {
			list = append(list, *old...)
		}
		list = append(list, s)
		if b.slots.CompareAndSwap(old, &list) {
			return s
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
