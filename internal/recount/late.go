package recount

import (
	"context"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

// lateMost is how many clicks that came too late are held at once: it bounds memory, at
// about 300 bytes each.
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
	start  int64 // of its window
	ad     string
	digest uint64
	struck bool // a valid click has its identity
}

// latecomers are those of a range. A late click has no place in the order of a shard. So it repeats
// any valid click that has its identity within the horizon, whichever came first, and
// of late ones alone the first counts.
type latecomers struct {
	size, horizon int64
	known         map[click.ID][]*latecomer
	n             int
}

// near are those with the identity of a click that it repeats, or they it.
func (l *latecomers) near(c *click.Routed) (near []*latecomer) {
	for _, late := range l.known[c.ID] {
		if d := c.Time - c.Time%l.size - late.start; d <= l.horizon && -d <= l.horizon {
			near = append(near, late)
		}
	}
	return near
}

// add takes one; it returns nil when it repeats another.
func (l *latecomers) add(c *click.Routed) (*latecomer, error) {
	if len(l.near(c)) > 0 {
		return nil, nil
	}
	if l.n++; l.n > lateMost {
		return nil, ErrLate
	}
	late := &latecomer{start: c.Time - c.Time%l.size, ad: string(c.Ad), digest: c.ID.Digest()}
	l.known[c.ID] = append(l.known[c.ID], late)
	return late, nil
}

// gather reads every source to its end and takes in the clicks of the range that came too late.
func (r *run) gather(ctx context.Context, watch func(done, total int64) error) error {
	r.late = latecomers{size: r.rules.Judge.Size, horizon: r.rules.Judge.Rules.Horizon, known: map[click.ID][]*latecomer{}}
	r.hold = r.late.horizon + r.late.size
	_, r.before = r.progress()
	names := make([]click.Source, len(r.reading))
	for i, s := range r.reading {
		names[i] = s.reader.name
	}
	listening, err := r.openAll(ctx, names)
	if err != nil {
		return err
	}
	for i, l := range listening {
		l.reader.listens, l.reader.end = true, r.reading[i].reader.end
	}
	return r.each(ctx, listening, func(s *source, t *turn) error {
		for i := range t.missed {
			if err := r.miss(s.reader.name, &t.missed[i]); err != nil {
				return err
			}
		}
		var done int64
		for _, l := range listening {
			d, _ := l.progress()
			done += d
		}
		return watch(min(done, r.before), 2*r.before)
	})
}

// miss takes in a click that is not counted.
func (r *run) miss(name click.Source, m *missed) error {
	r.witness(&Judged{name, m.kind, m.by, m.append, &m.click})
	if m.kind != rule.Late {
		return nil
	}
	r.report.Late++
	late, err := r.late.add(&m.click)
	if late != nil {
		r.tally.expect(late, click.FilterAll)
		for i, filter := range m.click.Filters {
			if m.click.Mask>>i&1 == 1 {
				r.tally.expect(late, filter)
			}
		}
	}
	return err
}
