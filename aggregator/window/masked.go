package window

import (
	"math"
	"math/bits"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// set is a set of filters: what the bits of masks stand for. Equal ones that a
// shard's windows hold are one.
type set struct{ filters []string }

// has returns the bit of a filter, 0 when it is not in the set.
func (s *set) has(filter string) uint64 {
	if i, ok := slices.BinarySearch(s.filters, filter); ok {
		return 1 << i
	}
	return 0
}

// heardSet is a set that the section being folded has, and the slice it comes in.
type heardSet struct {
	first *string
	set   *set
}

// set returns the set that a click of the section was held against.
func (s *Shard) set(filters []string) *set {
	for i := range s.sets {
		if s.sets[i].first == &filters[0] {
			return s.sets[i].set
		}
	}
	h := heardSet{&filters[0], intern(s.live(), filters)}
	s.sets = append(s.sets, h)
	return h.set
}

// intern returns the set of these filters that one of some windows has, or a new one.
func intern(windows []*window, filters []string) *set {
	for _, w := range slices.Backward(windows) {
		for _, known := range w.masked.sets {
			if slices.Equal(known.filters, filters) {
				return known
			}
		}
	}
	return &set{slices.Clone(filters)}
}

// masked holds the clicks of one window that passed filters: how many of each ad have
// the same mask. A click costs one look-up, however many filters it passed; what came
// to each filter is added up when it is said. There are no more cells than clicks.
type masked struct {
	sets  []*set // in the order in which they came
	index index
	cells []cell // likewise
}

type cell struct {
	mask uint64
	click.Sum
	place   uint32 // of the ad
	set     uint16 // in sets
	changed bool   // since it was last said
}

// setsMost is how many sets of filters a window has at most. They change at the ends of windows.
const setsMost = math.MaxUint16

// number returns the number of a set in this window.
func (m *masked) number(s *set) uint16 {
	at := slices.Index(m.sets, s)
	if at < 0 {
		if at = len(m.sets); at == setsMost {
			panic("window: sets of filters without end in one window")
		}
		m.sets = append(m.sets, s)
	}
	return uint16(at)
}

// add counts a click, with its digest, of the ad at a place and returns the cell's place.
func (m *masked) add(adHash uint64, place uint32, set uint16, mask, digest uint64) int {
	h := hashMask(adHash, set, mask)
	at := m.lookup(h, place, set, mask)
	if at < 0 {
		m.index.room(len(m.cells))
		at = len(m.cells)
		m.cells = append(m.cells, cell{mask: mask, place: place, set: set})
		m.index.put(h, at)
	}
	c := &m.cells[at]
	c.Add(click.Sum{Count: 1, Digest: digest})
	c.changed = true
	return at
}

// lookup returns the place of a cell, or -1.
func (m *masked) lookup(h uint64, place uint32, set uint16, mask uint64) int {
	if len(m.index) == 0 {
		return -1
	}
	tag, most := uint32(h), len(m.index)-1
	for i := int(tag) & most; ; i = (i + 1) & most {
		v := m.index[i]
		if v == 0 {
			return -1
		}
		if uint32(v>>32) == tag {
			at := int(uint32(v) - 1)
			if c := &m.cells[at]; c.place == place && c.mask == mask && c.set == set {
				return at
			}
		}
	}
}

// hashMask mixes a mask into the hash of an ad, which is keyed: nobody outside can make
// cells collide.
func hashMask(adHash uint64, set uint16, mask uint64) uint64 {
	hi, lo := bits.Mul64(adHash^mask, 0x9e3779b97f4a7c15+2*uint64(set))
	return hi ^ lo
}

// reindex makes the index anew, when it is known which hashes the ads have. It returns
// false when a cell is there twice.
func (m *masked) reindex(adHash func(place uint32) uint64) bool {
	if len(m.cells) == 0 {
		return true
	}
	m.index.empty(len(m.cells))
	for i := range m.cells {
		c := &m.cells[i]
		h := hashMask(adHash(c.place), c.set, c.mask)
		if m.lookup(h, c.place, c.set, c.mask) >= 0 {
			return false
		}
		m.index.put(h, i)
	}
	return true
}

// filters returns the filters that clicks passed, or such as were counted since they were
// last said, ascending.
func (m *masked) filters(all bool) (filters []string) {
	if len(m.cells) == 0 {
		return nil
	}
	passed := make([]uint64, len(m.sets))
	for i := range m.cells {
		if c := &m.cells[i]; all || c.changed {
			passed[c.set] |= c.mask
		}
	}
	for i, mask := range passed {
		for ; mask != 0; mask &= mask - 1 {
			filters = append(filters, m.sets[i].filters[bits.TrailingZeros64(mask)])
		}
	}
	slices.Sort(filters)
	return slices.Compact(filters)
}

// said notes that all was said.
func (m *masked) said() {
	for i := range m.cells {
		m.cells[i].changed = false
	}
}

// bytes is what the table occupies.
func (m *masked) bytes() int64 { return int64(8*cap(m.index) + 32*cap(m.cells)) }
