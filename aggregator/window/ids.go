package window

import (
	"math/bits"

	"github.com/clickagg/clickagg/internal/click"
)

// ids remembers the identities of counted clicks. It is a hash table cut into
// segments by the top bits of the hash, which is the id's digest, so that growing, shrinking and clearing
// away touch a small piece at a time. A segment is a flat array of slots and one
// of tags, a byte for each slot: empty, freed (probes go on past it), or else a
// part of the hash. Probes go over the tags alone, eight at a time, from the
// hash's home on, so that a new id touches little before it is put in. The
// collector sees two pointers per segment and nothing inside.
type ids struct {
	segments  [1 << segmentBits]segment
	reach     int64 // how many windows apart a click and its repeat may be, by the rules of the section being folded
	forgotten int64 // ids of windows below this number are free to go
	swept     int64 // forgotten when the last sweep of all segments began
	unswept   int   // segments that it has not come to
	cursor    int   // the next segment to sweep
}

const (
	segmentBits = 10
	groupSlots  = 8 // slots whose tags are probed at once

	// sweepWindows is for how many windows' ids one sweep is made: with the 16
	// windows that the defaults keep, an eighth more memory at most for half the work.
	sweepWindows = 2
)

type segment struct {
	tags  []uint64 // one of them is a group
	slots []slot   // groupSlots for each of tags
	used  int32    // slots that are not empty: taken or freed
	taken int32    // slots with an id, forgotten ones included
}

type slot struct {
	hi, lo uint64 // the identity
	check  uint32
	window uint32
}

func (c *slot) id() click.ID { return click.ID{Hi: c.hi, Lo: c.lo} }

const (
	freed    = 1
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// zeroes marks the zero bytes of x. Above a true mark there may be false ones;
// the lowest is always true.
func zeroes(x uint64) uint64 { return (x - lowBits) &^ x & highBits }

// first is the place of the lowest mark.
func first(marks uint64) int { return bits.TrailingZeros64(marks) / 8 }

func tagOf(h uint64) uint64 {
	if t := h & 0xff; t > freed {
		return t
	}
	return h&0xff + 2
}

func (t *ids) segment(h uint64) *segment { return &t.segments[h>>(64-segmentBits)] }

// home is the group where the search for a hash starts.
func (g *segment) home(h uint64) int {
	return int(h << segmentBits >> 32 * uint64(len(g.tags)) >> 32)
}

// touchTags loads what find looks at first.
func (t *ids) touchTags(h uint64) uint64 {
	g := t.segment(h)
	if len(g.tags) == 0 {
		return 0
	}
	return g.tags[g.home(h)]
}

// touchSlot loads the slot a new id will most likely be put in.
func (t *ids) touchSlot(h uint64) uint64 {
	g := t.segment(h)
	if len(g.tags) == 0 {
		return 0
	}
	i := g.home(h)
	return uint64(g.slots[i*groupSlots+first(zeroes(g.tags[i]&^lowBits))&(groupSlots-1)].window)
}

// find tells what a click is: Duplicate when its id was counted within reach
// with the same bytes, else Conflict when with other bytes, and zero when it
// was not. Forgotten ids count as gone whether or not they were swept: a reach
// that grew brings none back.
func (t *ids) find(h uint64, id click.ID, check, window uint32) (v Verdict) {
	g := t.segment(h)
	if len(g.tags) == 0 {
		return 0
	}
	tag := tagOf(h) * lowBits
	for i := g.home(h); ; {
		tags := g.tags[i]
		for m := zeroes(tags ^ tag); m != 0; m &= m - 1 {
			c := &g.slots[i*groupSlots+first(m)]
			if c.lo == id.Lo && c.hi == id.Hi && t.near(c.window, window) {
				if c.check == check {
					return Duplicate
				}
				v = Conflict // unless another one is near on the other side
			}
		}
		if zeroes(tags) != 0 {
			return v
		}
		if i++; i == len(g.tags) {
			i = 0
		}
	}
}

// near tells whether an id of a window is remembered and within reach of another.
func (t *ids) near(held, window uint32) bool {
	d := int64(held) - int64(window)
	return max(d, -d) <= t.reach && int64(held) >= t.forgotten
}

// insert adds an id that find did not find.
func (t *ids) insert(h uint64, c slot) {
	g := t.segment(h)
	// Probes of a table fuller than this grow long (measured: a find costs twice
	// as much at 7/8 as at 7/10).
	if 8*int(g.used) >= 7*len(g.slots) {
		t.rebuild(g)
	}
	g.put(h, c)
}

// put takes the first free slot from home on. Every group before it is without
// an empty slot, so that find comes by.
func (g *segment) put(h uint64, c slot) {
	for i := g.home(h); ; {
		if m := zeroes(g.tags[i] &^ lowBits); m != 0 { // empty or freed
			at := first(m)
			old := g.tags[i] >> (8 * at) & 0xff
			g.tags[i] ^= (old ^ tagOf(h)) << (8 * at)
			g.slots[i*groupSlots+at] = c
			g.taken++
			if old != freed {
				g.used++
			}
			return
		}
		if i++; i == len(g.tags) {
			i = 0
		}
	}
}

// occupied marks exactly the bytes that are neither empty nor freed.
func occupied(tags uint64) uint64 {
	x := tags &^ lowBits
	return ((x &^ highBits) + ^uint64(highBits) | x) & highBits
}

// rebuild clears the segment of forgotten ids and gives it the size that the
// others need. Small tables leave much room to grow and large ones little: there
// memory matters more than the work of moving.
func (t *ids) rebuild(g *segment) {
	t.clean(g)
	const small = 1024
	n := int(g.taken)
	size := n*4/3 + 2*groupSlots
	if n < small {
		size = n*7/4 + 2*groupSlots
	}
	t.resize(g, size/groupSlots)
}

// resize moves the ids to as many groups.
func (t *ids) resize(g *segment, groups int) {
	old := *g
	*g = segment{tags: make([]uint64, groups), slots: make([]slot, groups*groupSlots)}
	for i, tags := range old.tags {
		for m := occupied(tags); m != 0; m &= m - 1 {
			c := &old.slots[i*groupSlots+first(m)]
			g.put(c.id().Digest(), *c)
		}
	}
}

// forget lets the ids of windows below a number go. Their slots are freed by
// the sweeps that follow, of several windows together: each sweep reads the
// whole table.
func (t *ids) forget(below int64) {
	t.forgotten = below
	if below-t.swept >= sweepWindows {
		t.swept = below
		t.unswept = len(t.segments)
	}
}

// sweep frees slots of forgotten ids, as much as suits the number of clicks
// taken in meanwhile: eight slots per click keep pace with any flow of new ids
// at an eighth more memory, and a few segments in any case bring the memory down
// when no clicks come.
func (t *ids) sweep(clicks int) {
	const least, perClick = 4, 8
	for n, slots := 0, 0; t.unswept > 0 && (n < least || slots < perClick*clicks); n++ {
		g := &t.segments[t.cursor]
		slots += len(g.slots)
		t.clean(g)
		if g.taken == 0 {
			*g = segment{}
		} else if 3*int(g.taken)+3*groupSlots < len(g.slots) {
			t.rebuild(g)
		}
		t.cursor = (t.cursor + 1) % len(t.segments)
		t.unswept--
	}
}

// clean frees the segment's slots of forgotten ids.
func (t *ids) clean(g *segment) {
	for i, tags := range g.tags {
		// Probes end at a group with an empty slot: one more does no harm there.
		ends := zeroes(tags) != 0
		for m := occupied(tags); m != 0; m &= m - 1 {
			at := first(m)
			if int64(g.slots[i*groupSlots+at].window) >= t.forgotten {
				continue
			}
			g.taken--
			g.tags[i] &^= 0xff << (8 * at)
			if ends {
				g.used--
			} else {
				g.tags[i] |= freed << (8 * at)
			}
		}
	}
}

// bytes is what the table occupies.
func (t *ids) bytes() int64 {
	var n int64
	for i := range t.segments {
		n += int64(len(t.segments[i].slots))
	}
	return n * (idBytes + 1)
}
