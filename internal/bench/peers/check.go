package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// faultsShown is how many faults are spelled out.
const faultsShown = 5

// checker compares final answers with the truth as they come. A final count is
// said once; again is a fault, unless it is the same word said twice.
type checker struct {
	truth *truth
	tops  [minutes][]place // the right lists

	counts   [][]int32 // what was said, by minute and ad; -1 is nothing yet
	said     int       // counts that were said
	topSaid  [minutes][]place
	lists    int  // minutes whose list was said
	tolerant bool // whether the same answer twice is no fault

	faults int
	first  []string
}

// newChecker compares with a truth. Who delivers at least once, with versions, may
// say the same twice; who promises exactly once may not.
func newChecker(t *truth, tolerant bool) *checker {
	c := &checker{truth: t, tolerant: tolerant, counts: make([][]int32, minutes)}
	for m := range minutes {
		c.tops[m] = t.top(m)
		c.counts[m] = slices.Repeat([]int32{-1}, ads)
	}
	return c
}

// count takes a final count. What is no ad of the stream or no minute of it is a
// fault; what lies after the last whole minute is not looked at.
func (c *checker) count(name []byte, start, n int64) {
	ad, minute := parseAd(name), minuteOf(start)
	switch {
	case ad < 0 || minute < 0:
		c.fault("a count for ad %q in the window of %d, which is not in the stream", name, start)
		return
	case minute >= minutes:
		return
	case n < 0 || n > math.MaxInt32:
		c.fault("%s at %s: %d clicks", name, clock(minute), n)
		return
	}
	had, want := int64(c.counts[minute][ad]), int64(c.truth.counts[minute][ad])
	switch {
	case had >= 0 && (had != n || !c.tolerant):
		c.fault("%s at %s: final twice, with %d and %d", name, clock(minute), had, n)
		return
	case had >= 0:
		return
	}
	c.counts[minute][ad] = int32(n)
	switch want {
	case n:
		c.said++
	case 0:
		c.fault("%s at %s: %d clicks, and there was none", name, clock(minute), n)
	default:
		c.said++
		c.fault("%s at %s: %d clicks, and there were %d", name, clock(minute), n, want)
	}
}

// provisional takes a count that is not final yet.
func (c *checker) provisional(name []byte, start int64) {
	if ad, minute := parseAd(name), minuteOf(start); ad >= 0 && minute >= 0 && minute < minutes && c.counts[minute][ad] >= 0 {
		c.fault("%s at %s: provisional after it was final", name, clock(minute))
	}
}

// ranked takes the final ranked list of a minute, of which the first 100 count.
func (c *checker) ranked(start int64, list []place) {
	minute := minuteOf(start)
	switch {
	case minute < 0:
		c.fault("a ranked list of the window of %d, which is not in the stream", start)
		return
	case minute >= minutes:
		return
	}
	list = list[:min(topLength, len(list))]
	if had := c.topSaid[minute]; had != nil {
		if !c.tolerant || !slices.Equal(had, list) {
			c.fault("the ranked list of %s is final twice", clock(minute))
		}
		return
	}
	c.topSaid[minute] = append([]place{}, list...)
	c.lists++
	want := c.tops[minute]
	if len(list) != len(want) {
		c.fault("the ranked list of %s has %d places, and should have %d", clock(minute), len(list), len(want))
		return
	}
	for i := range want {
		if list[i] != want[i] {
			c.fault("the ranked list of %s: place %d is %s with %d clicks, and should be %s with %d", clock(minute), i+1,
				appendAd(nil, list[i].ad), list[i].count, appendAd(nil, want[i].ad), want[i].count)
			return
		}
	}
}

// broken takes a record that cannot be read.
func (c *checker) broken(err error) { c.fault("%v", err) }

func (c *checker) fault(format string, args ...any) {
	c.faults++
	if len(c.first) < faultsShown {
		c.first = append(c.first, fmt.Sprintf(format, args...))
	}
}

// complete tells whether everything was said, right or wrong.
func (c *checker) complete() bool { return c.said == c.truth.finals && c.lists == minutes }

// verdict is nil when everything was said and right, and else says what was wrong.
func (c *checker) verdict() error {
	var errs []error
	if !c.complete() {
		errs = append(errs, fmt.Errorf("%d of %d final counts and %d of %d ranked lists came", c.said, c.truth.finals, c.lists, minutes))
	}
	if c.faults > 0 {
		errs = append(errs, fmt.Errorf("%d faults", c.faults))
		for _, f := range c.first {
			errs = append(errs, errors.New(f))
		}
	}
	return errors.Join(errs...)
}
