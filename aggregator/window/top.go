package window

import (
	"bytes"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// top returns the places of a window's best ads, but for those that are spread, best
// first: greater count first, then the ad by bytes. It goes over all of them with a bounded heap
// whose root is the worst of the best so far.
func (c *counts) top(best []uint32, limit int) []uint32 {
	best = best[:0]
	if limit == 0 {
		return best
	}
	for i := range c.entries {
		switch {
		case c.entries[i].share:
		case len(best) < limit:
			best = append(best, uint32(i))
			if len(best) == limit {
				for at := limit/2 - 1; at >= 0; at-- {
					c.sink(best, at)
				}
			}
		case c.entries[i].count >= c.entries[best[0]].count && c.rank(uint32(i), best[0]) < 0:
			best[0] = uint32(i)
			c.sink(best, 0)
		}
	}
	slices.SortFunc(best, c.rank)
	return best
}

// rank is negative when the ad at place a stands before the one at place b.
func (c *counts) rank(a, b uint32) int {
	x, y := &c.entries[a], &c.entries[b]
	if x.count != y.count {
		if x.count > y.count {
			return -1
		}
		return 1
	}
	return bytes.Compare(c.ad(x), c.ad(y))
}

// sink lets the ad at a place of the heap down until none below it is worse.
func (c *counts) sink(heap []uint32, at int) {
	for {
		worst := at
		for child := 2*at + 1; child <= 2*at+2 && child < len(heap); child++ {
			if c.rank(heap[child], heap[worst]) > 0 {
				worst = child
			}
		}
		if worst == at {
			return
		}
		heap[at], heap[worst] = heap[worst], heap[at]
		at = worst
	}
}

// keyed is an ad's place and the bytes that decide nearly every comparison.
type keyed struct {
	key   uint64
	place uint32
}

// news returns the places of the ads to be said, all or the changed ones but for
// those that are spread, in the order of their bytes.
func (c *counts) news(order []keyed, all bool) []keyed {
	order = order[:0]
	shared := -1 // bytes that all begin with; they decide nothing
	var first []byte
	for i := range c.entries {
		e := &c.entries[i]
		if e.share || !all && !e.changed {
			continue
		}
		order = append(order, keyed{place: uint32(i)})
		ad := c.ad(e)
		if shared < 0 {
			first, shared = ad, len(ad)
		}
		shared = min(shared, len(ad))
		for string(ad[:shared]) != string(first[:shared]) {
			shared--
		}
	}
	for i := range order {
		order[i].key = key(c.ad(&c.entries[order[i].place])[shared:])
	}
	slices.SortFunc(order, func(a, b keyed) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return bytes.Compare(c.ad(&c.entries[a.place]), c.ad(&c.entries[b.place]))
	})
	return order
}

// key is a text's first eight bytes as a number of the same order.
func key(text []byte) uint64 {
	var k uint64
	for i := range min(8, len(text)) {
		k |= uint64(text[i]) << (56 - 8*i)
	}
	return k
}

// row is what is said of the ad at a place.
func (c *counts) row(place uint32) click.Row {
	e := &c.entries[place]
	return click.Row{Ad: c.ad(e), Count: e.count}
}
