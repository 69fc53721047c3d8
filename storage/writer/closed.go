package writer

import (
	"slices"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/storage"
)

// closed knows which windows the store may take for closed for good, as far as the
// results partition goes: those that the marks before a record say are. What comes of them
// afterwards is a repeat or a correction, and roll-ups that were made meanwhile are
// not as good any more.
type closed struct {
	until    int64           // no window that ends later is closed
	reducers map[int32]int64 // what each said; all of them together decide
	asked    bool            // the store was asked what the marks before the first record said
}

// hear takes a mark of the partition.
func (c *closed) hear(m *storage.Mark) {
	if c.reducers == nil {
		c.reducers = map[int32]int64{}
	}
	before, heard := c.reducers[m.Reducer]
	if !heard || m.Closed > before {
		c.reducers[m.Reducer] = m.Closed
	}
	if len(c.reducers) == int(m.Reducers) { // while there are more and some say nothing yet, what was closed stays so
		until := m.Closed
		for _, at := range c.reducers {
			until = min(until, at)
		}
		c.until = max(c.until, until)
	}
}

// learn takes the marks that the store has of this partition, which another process may
// have read from the log, and looks again at the rows that wait. Those may lie before
// marks that were read with them; to touch too much once costs little.
func (r *rows) learn(marks []storage.Mark, offset int64) {
	for i := range marks {
		if m := &marks[i]; m.Partition == r.partition && m.Partitions == r.partitions {
			r.closed.hear(m)
		}
	}
	r.asked = true
	for i := range r.Results {
		if w := &r.Results[i]; w.Start+w.Size <= r.until {
			r.touch(w.Start, offset)
		}
	}
}

// touch says that a window is changed by the record at an offset.
func (r *rows) touch(start, offset int64) {
	t := storage.Touch{Hour: calendar.Hour(start).From, Partition: r.partition, Offset: offset + 1}
	i := slices.IndexFunc(r.Touches, func(o storage.Touch) bool { return o.Hour == t.Hour })
	if i < 0 {
		r.Touches = append(r.Touches, t)
		return
	}
	r.Touches[i].Offset = max(r.Touches[i].Offset, t.Offset)
}
