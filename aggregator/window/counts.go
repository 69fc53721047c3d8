package window

import (
	"math"

	"github.com/clickagg/clickagg/internal/click"
)

// counts holds the clicks of each ad in one window: the entries in the order in
// which the ads came, their bytes in one arena, and an index over both. None of
// the three holds a pointer.
type counts struct {
	index   index
	entries []entry
	arena   []byte
}

type entry struct {
	at      uint32 // where the ad's bytes start in the arena
	length  uint16
	changed bool // since it was last said
	share   bool // other shards have clicks of the ad in this window, too
	click.Sum
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

// touchEntry loads the entry that the first place of the index leads to, both ends of it: it may
// lie in two lines of the cache.
func (c *counts) touchEntry(h uint64) uint64 {
	v := uint32(c.touchIndex(h))
	if v == 0 {
		return 0
	}
	e := &c.entries[v-1]
	return uint64(e.at) + e.Digest
}

// add counts a click of an ad, with its digest, and returns the ad's place. It returns -1, and counts
// nothing, when the ad is new and there is no room for it.
func (c *counts) add(h uint64, ad []byte, digest uint64, limit int64) int {
	place := c.lookup(h, ad)
	if place < 0 {
		if int64(len(c.entries)) >= limit || len(c.arena)+len(ad) > math.MaxUint32 {
			return -1
		}
		place = c.insert(h, ad)
	}
	e := &c.entries[place]
	e.Add(click.Sum{Count: 1, Digest: digest})
	e.changed = true
	return place
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
func (c *counts) insert(h uint64, ad []byte) int {
	c.index.room(len(c.entries))
	c.entries = append(c.entries, entry{at: uint32(len(c.arena)), length: uint16(len(ad))})
	c.arena = append(c.arena, ad...)
	c.index.put(h, len(c.entries)-1)
	return len(c.entries) - 1
}

// reindex makes the index anew, for other hashes. It returns false when an ad is there
// twice.
func (c *counts) reindex(seed uint64) bool {
	c.index.empty(len(c.entries))
	for i := range c.entries {
		ad := c.ad(&c.entries[i])
		h := click.HashAd(ad, seed)
		if c.lookup(h, ad) >= 0 {
			return false
		}
		c.index.put(h, i)
	}
	return true
}

// bytes is what the table occupies.
func (c *counts) bytes() int64 {
	return int64(8*cap(c.index) + 24*cap(c.entries) + cap(c.arena))
}

// index leads from hashes to places in a list. It has a power of two of slots: 32 bits of
// hash, 32 bits of place + 1; 0 is empty.
type index []uint64

// room makes room for one more than so many places.
func (x *index) room(places int) {
	if 4*places < 3*len(*x) {
		return
	}
	old := *x
	*x = make(index, max(8, 2*len(old)))
	for _, v := range old {
		if v != 0 {
			x.place(v)
		}
	}
}

// empty makes it lead nowhere, with room for so many places.
func (x *index) empty(places int) {
	size := 8
	for 4*places > 3*size {
		size *= 2
	}
	*x = make(index, size)
}

// put lets a hash lead to a place as well. There must be room.
func (x *index) put(h uint64, place int) { x.place(uint64(uint32(h))<<32 | uint64(place+1)) }

func (x *index) place(v uint64) {
	slots := *x
	mask := len(slots) - 1
	i := int(v>>32) & mask
	for slots[i] != 0 {
		i = (i + 1) & mask
	}
	slots[i] = v
}
