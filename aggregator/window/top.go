package window

import (
	"bytes"
	"slices"
)

// top returns the places of a window's best ads, but for those that are spread, best
// first: greater count first, then the ad by bytes. It goes over all of them with a bounded heap
// whose root is the worst of the best so far.
func (v *view) top(best []uint32, limit int) []uint32 {
	best = best[:0]
	if limit == 0 {
		return best
	}
	for i := range v.ads() {
		place := v.at(i)
		switch {
		case v.entries[place].share:
		case len(best) < limit:
			best = append(best, place)
			if len(best) == limit {
				for at := limit/2 - 1; at >= 0; at-- {
					v.sink(best, at)
				}
			}
		case v.count(place) >= v.count(best[0]) && v.rank(place, best[0]) < 0:
			best[0] = place
			v.sink(best, 0)
		}
	}
	slices.SortFunc(best, v.rank)
	return best
}

// rank is negative when the ad at place a stands before the one at place b.
func (v *view) rank(a, b uint32) int {
	if x, y := v.count(a), v.count(b); x != y {
		if x > y {
			return -1
		}
		return 1
	}
	return bytes.Compare(v.ad(&v.entries[a]), v.ad(&v.entries[b]))
}

// sink lets the ad at a place of the heap down until none below it is worse.
func (v *view) sink(heap []uint32, at int) {
	for {
		worst := at
		for child := 2*at + 1; child <= 2*at+2 && child < len(heap); child++ {
			if v.rank(heap[child], heap[worst]) > 0 {
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
func (v *view) news(order []keyed, all bool) []keyed {
	order = order[:0]
	shared := -1 // bytes that all begin with; they decide nothing
	var first []byte
	for i := range v.ads() {
		place := v.at(i)
		e := &v.entries[place]
		if e.share || !all && !v.changed(place) {
			continue
		}
		order = append(order, keyed{place: place})
		ad := v.ad(e)
		if shared < 0 {
			first, shared = ad, len(ad)
		}
		shared = min(shared, len(ad))
		for string(ad[:shared]) != string(first[:shared]) {
			shared--
		}
	}
	for i := range order {
		order[i].key = key(v.ad(&v.entries[order[i].place])[shared:])
	}
	slices.SortFunc(order, func(a, b keyed) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return bytes.Compare(v.ad(&v.entries[a.place]), v.ad(&v.entries[b.place]))
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
