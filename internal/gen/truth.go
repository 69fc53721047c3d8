package gen

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// minuteMs is the window that answers are given for.
const minuteMs = 60_000

// Truth is the right answer to a stream of events.
type Truth struct {
	Counts     Counts // of the valid clicks
	Clicks     int64  // valid clicks, each once
	Duplicates int64
	Conflicts  int64
	Rejected   [click.ReasonsEnd]int64
	Greatest   int64 // greatest event time of a valid click, Unix ms; click.None without one
}

// NewTruth is the answer to no events.
func NewTruth() *Truth { return &Truth{Greatest: click.None} }

// Add takes an event into account. It keeps no view of it.
func (t *Truth) Add(e *Event) {
	switch e.Kind {
	case Click:
		t.Clicks++
		t.Greatest = max(t.Greatest, e.At)
		t.Counts.Add(e.Ad, e.At-e.At%minuteMs, 1)
	case Repeat:
		t.Duplicates++
	case Conflict:
		t.Conflicts++
	case Garbage:
		t.Rejected[e.Reason]++
	}
}

// RejectedTotal adds up the garbage of every reason.
func (t *Truth) RejectedTotal() (n int64) {
	for _, c := range t.Rejected {
		n += c
	}
	return n
}

// Counts is a number of clicks per ad and minute. The zero Counts is empty.
type Counts struct {
	minutes map[int64]map[string]*int64
}

// Cell is the count of one ad in the minute that starts at Minute, Unix ms.
type Cell struct {
	Ad     string
	Minute int64
	Count  int64
}

// Add adds n clicks to a cell.
func (c *Counts) Add(ad []byte, minute, n int64) {
	ads := c.minutes[minute]
	if ads == nil {
		if c.minutes == nil {
			c.minutes = map[int64]map[string]*int64{}
		}
		ads = map[string]*int64{}
		c.minutes[minute] = ads
	}
	count := ads[string(ad)]
	if count == nil {
		count = new(int64)
		ads[string(ad)] = count
	}
	*count += n
}

// Count is the number of clicks of an ad in a minute.
func (c *Counts) Count(ad string, minute int64) int64 {
	if n := c.minutes[minute][ad]; n != nil {
		return *n
	}
	return 0
}

// Minutes are the starts of the minutes with a cell, in ascending order.
func (c *Counts) Minutes() []int64 { return slices.Sorted(maps.Keys(c.minutes)) }

// Len is the number of cells.
func (c *Counts) Len() (n int) {
	for _, ads := range c.minutes {
		n += len(ads)
	}
	return n
}

// Total adds up all cells.
func (c *Counts) Total() (n int64) {
	for _, ads := range c.minutes {
		for _, count := range ads {
			n += *count
		}
	}
	return n
}

// All yields the cells ordered by minute, then by the ad's bytes.
func (c *Counts) All() iter.Seq[Cell] {
	return func(yield func(Cell) bool) {
		for _, minute := range c.Minutes() {
			ads := c.minutes[minute]
			for _, ad := range slices.Sorted(maps.Keys(ads)) {
				if !yield(Cell{Ad: ad, Minute: minute, Count: *ads[ad]}) {
					return
				}
			}
		}
	}
}

// Top is the ranked list of a minute: the k ads with most clicks, greater count
// first, then the ad by its bytes.
func (c *Counts) Top(minute int64, k int) []click.Row {
	rows := make([]click.Row, 0, len(c.minutes[minute]))
	for ad, n := range c.minutes[minute] {
		rows = append(rows, click.Row{Ad: []byte(ad), Count: *n})
	}
	slices.SortFunc(rows, func(a, b click.Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(string(a.Ad), string(b.Ad)))
	})
	return rows[:min(k, len(rows))]
}
