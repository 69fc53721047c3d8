package storage

import (
	"math"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
)

// Rollup is an hour or a day whose counts are added up and stored. It may be answered
// from while its Version is what [VersionOf] says of the touches of its time; otherwise
// something in it has changed since.
type Rollup struct {
	Start, End int64 // Unix ms
	Version    int64
}

// Touch says that windows of an hour changed, or may have, after they were closed for
// good: a repeat after a crash, a replay, a repair. The newest of an hour and a
// partition stands: that of the greatest offset, and of two the one that is not open.
type Touch struct {
	Hour      int64 // its start, Unix ms, of UTC
	Partition int32 // of the results topic
	Offset    int64 // in that partition, before which lies what changed
	Open      bool  // some of it may not be stored yet
}

// Number orders the touches of an hour and a partition: the newest has the greatest.
func (t *Touch) Number() int64 {
	if t.Open {
		return 2 * t.Offset
	}
	return 2*t.Offset + 1
}

// TouchOf is the touch with a number.
func TouchOf(hour int64, partition int32, number int64) Touch {
	return Touch{Hour: hour, Partition: partition, Offset: number / 2, Open: number%2 == 0}
}

// VersionOf is the version of what is rolled up of the time [from, to) after it was
// touched so, and whether it can be rolled up now: not while a touch is open. The
// version rises with every touch, so that equal ones mean that nothing changed.
func VersionOf(touches []Touch, from, to int64) (version int64, settled bool) {
	version, settled = 1, true
	for i := range touches {
		t := &touches[i]
		if t.Hour < to && t.Hour+calendar.HourMS > from {
			version += t.Number()
			settled = settled && !t.Open
		}
	}
	return version, settled
}

// Until says how far a store is by its marks: before complete every window is final,
// before closed no window changes any more but by a touch. Each is the least of all
// partitions' and reducers', click.None while one is missing. Only the marks of the greatest
// numbers of partitions and reducers count, which are the newest.
func Until(marks []Mark) (complete, closed int64) {
	partitions, reducers := newest(marks)
	complete, closed = math.MaxInt64, math.MaxInt64
	heard := int64(0)
	for i := range marks {
		if m := &marks[i]; m.Partitions == partitions && m.Reducers == reducers {
			complete, closed = min(complete, m.Watermark), min(closed, m.Closed)
			heard++
		}
	}
	if heard == 0 || heard < int64(partitions)*int64(reducers) {
		return click.None, click.None
	}
	return complete, closed
}

// newest is the numbers of partitions and reducers that count: the greatest, for both only grow.
func newest(marks []Mark) (partitions, reducers int32) {
	for i := range marks {
		m := &marks[i]
		if m.Partitions > partitions || m.Partitions == partitions && m.Reducers > reducers {
			partitions, reducers = m.Partitions, m.Reducers
		}
	}
	return partitions, reducers
}
