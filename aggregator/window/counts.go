package window

import (
	"math"

	"github.com/clickagg/clickagg/internal/click"
)

// counts holds the clicks of each ad in one window: the entries in the order in
// which the ads came, their bytes in one arena, and an index over both. None of
// the three holds a pointer.
type counts struct {
	index   []uint64 // a power of two of them: 32 bits of hash, 32 bits of place in entries + 1; 0 is empty
	entries []entry
	arena   []byte
}

type entry struct {
	at      uint32 // where the ad's bytes start in the arena
	length  uint16
	changed bool // since it was last said
	share   bool // other shards have clicks of the ad in this window, too
	count   int64
}

// adMax is the most bytes of an ad; the mapper's limit is far below.
const adMax = math.MaxUint16

func (c *counts) ad(e *entry) []byte {
	return c.arena[e.at:][:e.length:e.length]
}

// touchIndex loads what add looks at first.
func (c *counts) touchIndex(h uint64) uint64 {
	if len(c.index) == 0 {
		return 0
	}
	return c.index[int(uint32(h))&(len(c.index)-1)]
}

// touchEntry loads the entry that the first place of the index leads to.
func (c *counts) touchEntry(h uint64) uint64 {
	v := uint32(c.touchIndex(h))
	if v == 0 {
		return 0
	}
	return uint64(c.entries[v-1].count)
}

// add counts a click of an ad. It returns false, and counts nothing, when the
// ad is new and there is no room for it.
func (c *counts) add(h uint64, ad []byte, limit int64) bool {
	var e *entry
	if place := c.lookup(h, ad); place >= 0 {
		e = &c.entries[place]
	} else {
		if int64(len(c.entries)) >= limit || len(c.arena)+len(ad) > math.MaxUint32 {
			return false
		}
		e = c.insert(h, ad)
	}
	e.count++
	e.changed = true
	return true
}

// lookup returns the place of an ad among the entries, or -1.
func (c *counts) lookup(h uint64, ad []byte) int {
	if len(c.index) == 0 {
		return -1
	}
	tag, mask := uint32(h), len(c.index)-1
	for i := int(tag) & mask; ; i = (i + 1) & mask {
		v := c.index[i]
		if v == 0 {
			return -1
		}
		if uint32(v>>32) == tag {
			if place := int(uint32(v) - 1); string(c.ad(&c.entries[place])) == string(ad) {
				return place
			}
		}
	}
}

// insert adds an ad that lookup did not find, with no clicks yet.
func (c *counts) insert(h uint64, ad []byte) *entry {
	if 4*len(c.entries) >= 3*len(c.index) {
		c.grow(max(8, 2*len(c.index)))
	}
	c.entries = append(c.entries, entry{at: uint32(len(c.arena)), length: uint16(len(ad))})
	c.arena = append(c.arena, ad...)
	c.place(uint64(uint32(h))<<32 | uint64(len(c.entries)))
	return &c.entries[len(c.entries)-1]
}

// reindex makes the index anew, for other hashes. It returns false when an ad is there
// twice.
func (c *counts) reindex(seed uint64) bool {
	size := 8
	for 4*len(c.entries) > 3*size {
		size *= 2
	}
	c.index = make([]uint64, size)
	for i := range c.entries {
		ad := c.ad(&c.entries[i])
		h := click.HashAd(ad, seed)
		if c.lookup(h, ad) >= 0 {
			return false
		}
		c.place(uint64(uint32(h))<<32 | uint64(i+1))
	}
	return true
}

func (c *counts) grow(size int) {
	old := c.index
	c.index = make([]uint64, size)
	for _, v := range old {
		if v != 0 {
			c.place(v)
		}
	}
}

func (c *counts) place(v uint64) {
	mask := len(c.index) - 1
	i := int(v>>32) & mask
	for c.index[i] != 0 {
		i = (i + 1) & mask
	}
	c.index[i] = v
}

// bytes is what the table occupies.
func (c *counts) bytes() int64 {
	return int64(8*cap(c.index) + 16*cap(c.entries) + cap(c.arena))
}
