package recount

import (
	"context"
	"errors"
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
	r.tally.hold = r.late.horizon + r.late.size
	_, r.before = r.progress()
	var done int64
	for _, s := range r.sources {
		reading, err := r.open(ctx, s.name)
		if err != nil {
			return fmt.Errorf("recount: open %v: %w", s.name, err)
		}
		for reading.end = s.end; !reading.done; {
			from := reading.next
			if err := r.listen(ctx, reading); err != nil {
				return fmt.Errorf("recount: read %v: %w", s.name, err)
			}
			done += reading.next - from
			if err := watch(done, 2*r.before); err != nil {
				return err
			}
		}
	}
	return nil
}

// listen reads some of a source for what came too late.
func (r *run) listen(ctx context.Context, s *source) error {
	n := 0
	err := r.in.Read(ctx, s.name, s.next, s.end, func(rec *click.Record) error {
		v := s.least.Add(rec)
		s.next = rec.Offset + 1
		if v.Kind == rule.Late || v.Kind == rule.Rejected && v.Reason == click.Ahead {
			if err := r.missed(s, rec, v); err != nil {
				return err
			}
		}
		if n++; n == turnRecords {
			return errEnough
		}
		return nil
	})
	if err == nil {
		s.next, s.done = s.end, true
	} else if !errors.Is(err, errEnough) {
		return err
	}
	s.least.Seal(s.next, click.None, click.None, 1) // what is valid is counted later
	return nil
}

// missed takes in a click that is not counted.
func (r *run) missed(s *source, rec *click.Record, v rule.Verdict) error {
	c, ok := s.least.Click(rec)
	if !ok || c.Time < r.span.From || c.Time >= r.span.To {
		return nil
	}
	r.witness(s, v, rec.Append, &c)
	if v.Kind != rule.Late {
		return nil
	}
	r.report.Late++
	late, err := r.late.add(&c)
	if late != nil {
		r.tally.expect(late, click.FilterAll)
		for i, filter := range c.Filters {
			if c.Mask>>i&1 == 1 {
				r.tally.expect(late, filter)
			}
		}
	}
	return err
}

// witness tells of a click.
func (r *run) witness(s *source, v rule.Verdict, appended int64, c *click.Routed) {
	if r.rules.Witness != nil {
		r.rules.Witness(&Judged{s.name, v.Kind, v.LateBy, appended, c})
	}
}
