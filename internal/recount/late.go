package recount

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

// lateMost is how many clicks that came too late are held at once: it bounds memory, at
// about 400 bytes each.
const lateMost = 1 << 20

// ErrLate: more clicks of a range came too late than can be held at once.
var ErrLate = fmt.Errorf("more than %d clicks of the range came too late: take a shorter range", lateMost)

// Judged is one click and what the judge says of it. It is valid only during the call.
type Judged struct {
	Source click.Source
	Kind   rule.Kind // Routed, Late, or Rejected: stamped too far ahead
	LateBy int64     // of a Late click: ms by which its window had been closed for good
	Append int64     // of one that is not Routed: the broker's time, Unix ms
	Click  *click.Routed
}

// latecomer is a click of the range that came too late.
type latecomer struct {
	start   int64 // of its window
	came    came
	ad      string
	digest  uint64
	filters []string
	mask    uint64
	struck  bool // another click that counts has its identity
}

// came is where a click stands among all late ones, wherever and from where on they are read.
type came struct {
	append int64
	source click.Source
	offset int64
}

func (a *came) compare(b *came) int {
	return cmp.Or(cmp.Compare(a.append, b.append), strings.Compare(a.source.Topic, b.source.Topic), bytes.Compare(a.source.ID[:], b.source.ID[:]),
		cmp.Compare(a.source.Partition, b.source.Partition), cmp.Compare(a.offset, b.offset))
}

// latecomers are those of a range, of each window the first with an identity. A late click has no place in the order of a
// shard. So it repeats any valid click that has its identity within the horizon, whichever came first, and
// of late ones alone that counts which was appended first.
type latecomers struct {
	size, horizon int64
	known         map[click.ID][]*latecomer
	n             int
}

// near are those with the identity of a click that it repeats, or they it.
func (l *latecomers) near(c *click.Routed) (near []*latecomer) {
	for _, late := range l.known[c.ID] {
		if l.within(late, c.Time-c.Time%l.size) {
			near = append(near, late)
		}
	}
	return near
}

// within tells whether one may repeat a click of a window that starts at a time, or that it.
func (l *latecomers) within(late *latecomer, start int64) bool {
	d := start - late.start
	return d <= l.horizon && -d <= l.horizon
}

// add takes one.
func (l *latecomers) add(name click.Source, m *missed) error {
	c := &m.click
	late := latecomer{
		start: c.Time - c.Time%l.size, came: came{m.append, name, c.Offset}, ad: string(c.Ad), digest: c.ID.Digest(),
		filters: c.Filters, mask: c.Mask,
	}
	for _, other := range l.known[c.ID] {
		if other.start == late.start {
			if late.came.compare(&other.came) < 0 {
				*other = late
			}
			return nil
		}
	}
	if l.n++; l.n > lateMost {
		return ErrLate
	}
	l.known[c.ID] = append(l.known[c.ID], &late)
	return nil
}

// settle strikes those that repeat another, when all are known.
func (l *latecomers) settle() {
	for _, same := range l.known {
		slices.SortFunc(same, func(a, b *latecomer) int { return a.came.compare(&b.came) })
		for i, late := range same {
			late.struck = slices.ContainsFunc(same[:i], func(first *latecomer) bool { return !first.struck && l.within(first, late.start) })
		}
	}
}

// gather takes in the clicks of the range that came too late: those that are known, and what every source has from
// there to its end.
func (r *run) gather(ctx context.Context, watch func(done, total int64) error) error {
	r.late = latecomers{size: r.rules.Judge.Size, horizon: r.rules.Judge.Rules.Horizon, known: map[click.ID][]*latecomer{}}
	r.hold = r.late.horizon + r.late.size
	g := r.rules.Gathered
	g.fit(r)
	_, total := r.progress()
	var listening []*source
	for _, s := range r.reading {
		known := g.of(s.reader)
		for i := range known.missed {
			m := &known.missed[i]
			if c := &m.click; c.Time < r.span.From || c.Time >= r.span.To || c.Offset < s.reader.first {
				continue // of the range, but not of this part of it
			}
			if err := r.miss(s.reader.name, m); err != nil {
				return err
			}
		}
		l := s.reader.listener(known.state)
		r.before += l.reader.end - l.reader.first
		listening = append(listening, l)
	}
	total += r.before
	if err := r.each(ctx, listening, func(s *source, t *turn) error {
		for i := range t.missed {
			if err := r.miss(s.reader.name, &t.missed[i]); err != nil {
				return err
			}
		}
		g.keep(s.reader, t)
		var done int64
		for _, l := range listening {
			d, _ := l.progress()
			done += d
		}
		return watch(done, total)
	}); err != nil {
		return err
	}
	r.late.settle()
	for _, same := range r.late.known {
		for _, late := range same {
			r.tally.expect(late)
		}
	}
	return nil
}

// miss takes in a click that is not counted.
func (r *run) miss(name click.Source, m *missed) error {
	r.witness(&Judged{name, m.kind, m.by, m.append, &m.click})
	if m.kind != rule.Late {
		return nil
	}
	r.report.Late++
	return r.late.add(name, m)
}
