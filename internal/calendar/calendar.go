package calendar

import (
	"sort"
	"time"
)

// HourMS is the length of an hour in ms.
const HourMS = 3_600_000

// longest is more than any day has, in ms.
const longest = 26 * HourMS

// Span is a stretch of time, [From, To) in Unix ms.
type Span struct{ From, To int64 }

// Minute is the minute of UTC that a moment, Unix ms, lies in.
func Minute(at int64) Span {
	from := Floor(at, HourMS/60)
	return Span{from, from + HourMS/60}
}

// Hour is the hour of UTC that a moment, Unix ms, lies in.
func Hour(at int64) Span {
	from := Floor(at, HourMS)
	return Span{from, from + HourMS}
}

// Calendar knows where the days of a time zone begin.
type Calendar struct {
	zone   *time.Location
	window int64
}

// New makes the calendar of a zone whose days are made of whole windows, which
// divide an hour. A window belongs to the day it begins in, so that where a zone's
// midnight lies within a window the day begins with the next.
func New(zone *time.Location, window time.Duration) Calendar {
	return Calendar{zone, window.Milliseconds()}
}

// Day is the day of the zone that the window of a moment, Unix ms, lies in. It begins with
// the first window of its date, which where clocks are put forward at midnight is not that
// of midnight. Days follow each other without gaps.
func (c Calendar) Day(at int64) Span {
	at = Floor(at, c.window)
	date, most := c.date(at), int(longest/c.window)
	before := sort.Search(most, func(n int) bool { return c.date(at-int64(n+1)*c.window) != date })
	after := sort.Search(most, func(n int) bool { return c.date(at+int64(n+1)*c.window) != date })
	return Span{at - int64(before)*c.window, at + int64(after+1)*c.window}
}

// date is a number for the date of a moment, which differs from those of the days beside it.
func (c Calendar) date(at int64) int {
	t := time.UnixMilli(at).In(c.zone)
	return t.Year()*1000 + t.YearDay()
}

// Floor rounds a time, Unix ms, down to a multiple of a size, before 1970 too.
func Floor(at, size int64) int64 {
	rest := at % size
	if rest < 0 {
		rest += size
	}
	return at - rest
}
