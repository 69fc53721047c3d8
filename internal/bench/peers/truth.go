package main

import (
	"cmp"
	"slices"
)

// topLength is how long the ranked lists are.
const topLength = 100

// truth is the right answer: the clicks of each minute by ad, each click once. The
// minutes after the last whole one are in it too, and are not asked for.
type truth struct {
	counts [][]uint32 // by minute and ad
	clicks int64      // in the whole minutes
	finals int        // counts in the whole minutes
}

func newTruth() truth {
	t := truth{counts: make([][]uint32, (spanMs+minuteMs-1)/minuteMs)}
	for i := range t.counts {
		t.counts[i] = make([]uint32, ads)
	}
	return t
}

// add counts a click, at in ms after base.
func (t *truth) add(ad int, at int64) {
	minute := int(at / minuteMs)
	n := &t.counts[minute][ad]
	if minute < minutes {
		t.clicks++
		if *n == 0 {
			t.finals++
		}
	}
	*n++
}

// place is one line of a ranked list.
type place struct {
	ad    int
	count int64
}

// top is the ranked list of a minute: greater count first, then the ad's name,
// whose order is that of the numbers.
func (t *truth) top(minute int) []place {
	var all []place
	for ad, n := range t.counts[minute] {
		if n > 0 {
			all = append(all, place{ad, int64(n)})
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.ad, b.ad)) })
	return all[:min(topLength, len(all))]
}
