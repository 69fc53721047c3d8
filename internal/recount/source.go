package recount

import (
	"context"
	"errors"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

// turnRecords is the most that is read of one source at once: it bounds what is held, and
// how far one source gets ahead of the others.
const turnRecords = 20_000

// skew is by how much append times of one partition may fall: brokers' clocks differ.
const skew = 10_000

// source is one source partition being read.
type source struct {
	name      click.Source
	first     int64 // offset the reading began at
	next, end int64
	whole     bool // nothing that could matter stood before first and is gone
	done      bool
	watermark int64
	least     *rule.Partition // judges from the least that event time can have been
	greatest  *rule.Partition // and from the greatest; nil once that makes no difference
	unsure    []bool          // by click of this turn: from the greatest, it is late

	said     click.Section // what the judge sealed, and its bytes
	saidAs   []byte
	list     click.Clicks // what of it is sent on
	narrow   click.Section
	narrowAs []byte
}

// open finds where to begin: at the first record that was appended at a time or later.
func (r *run) open(ctx context.Context, name click.Source) (*source, error) {
	start, end, err := r.in.Bounds(ctx, name)
	if err != nil {
		return nil, err
	}
	begin, err := r.in.Since(ctx, name, start, end, r.begins())
	if err != nil {
		return nil, err
	}
	now, until, err := r.in.Bounds(ctx, name)
	if err != nil {
		return nil, err
	}
	// What went while it was searched, the search did not see.
	s := &source{name: name, first: begin, next: begin, end: max(begin, end), whole: now == start && until >= end && (begin > start || start == 0), watermark: click.None}
	state := rule.NewState(s.first)
	state.Live = r.rules.Live(name.ID)
	rec, ok, err := first(ctx, r.in.Read, name, s.first, end)
	if err != nil {
		return nil, err
	}
	if s.first > 0 && ok {
		state.Seen, state.LastAppend = rec.Append, rec.Append
		s.greatest = rule.NewPartition(r.config(name), name, state)
		state.Seen = 0
	}
	s.least = rule.NewPartition(r.config(name), name, state)
	s.least.Filter(r.rules.Filters)
	return s, nil
}

// stays looks whether all that was to be read is still there: what went meanwhile may not have been read.
func (r *run) stays(ctx context.Context) error {
	for _, s := range r.sources {
		start, end, err := r.in.Bounds(ctx, s.name)
		if err != nil {
			return fmt.Errorf("recount: %v: %w", s.name, err)
		}
		r.report.Whole = r.report.Whole && start <= s.first && end >= s.end
	}
	return nil
}

// turn reads and judges some records, and returns a section with what may count.
func (r *run) turn(ctx context.Context, s *source) (*click.Section, error) {
	s.unsure = s.unsure[:0]
	n := 0
	err := r.in.Read(ctx, s.name, s.next, s.end, func(rec *click.Record) error {
		v := s.least.Add(rec)
		unsure := s.greatest != nil && s.greatest.Add(rec).Kind != v.Kind
		if v.Kind == rule.Routed {
			s.unsure = append(s.unsure, unsure)
		}
		if s.next < rec.Offset && r.rules.Hole != nil {
			r.rules.Hole(s.name, s.next, rec.Offset)
		}
		s.next = rec.Offset + 1
		if n++; n == turnRecords {
			return errEnough
		}
		return nil
	})
	idle := int64(click.None)
	switch {
	case err == nil:
		s.next, s.done, idle = s.end, true, r.in.AsOf()
	case !errors.Is(err, errEnough):
		return nil, err
	}
	r.report.Records += int64(n)
	sections := s.least.Seal(s.next, click.None, idle, int32(len(r.sources)))
	if s.greatest != nil {
		s.greatest.Seal(s.next, click.None, idle, int32(len(r.sources)))
		if sameJudge(s.least.State(), s.greatest.State()) {
			s.greatest = nil
		}
	}
	s.watermark = sections[0].Watermark
	r.report.Behind = r.report.Behind || err == nil && idle == click.None && s.watermark < r.span.To
	s.done = s.done || sections[0].Closed >= r.span.To+r.tally.hold
	return r.narrow(s, &sections[0])
}

// sameJudge tells whether two partitions judge all that comes alike.
func sameJudge(a, b rule.State) bool {
	a.Account, b.Account = click.Account{}, click.Account{}
	return a == b
}

// narrow leaves out of a section the clicks that neither are in the range nor can be
// repeated in it.
func (r *run) narrow(s *source, sec *click.Section) (*click.Section, error) {
	s.saidAs = sec.Append(s.saidAs[:0])
	if err := s.said.Parse(s.saidAs); err != nil {
		return nil, err
	}
	s.list.Reset(s.said.Start)
	var c click.Routed
	horizon := r.rules.Judge.Rules.Horizon
	for i := 0; s.said.Clicks.Next(&c); i++ {
		if c.Time < r.span.From-horizon || c.Time >= r.span.To+horizon {
			continue
		}
		if s.unsure[i] {
			r.report.Unsure++
		}
		if c.Time >= r.span.From && c.Time < r.span.To {
			r.report.Clicks++
		}
		if r.late.n > 0 {
			for _, late := range r.late.near(&c) {
				late.struck = true
			}
		}
		r.witness(s, rule.Verdict{Kind: rule.Routed}, 0, &c)
		s.list.Add(&c)
	}
	sent := s.said
	sent.Clicks = s.list
	s.narrowAs = sent.Append(s.narrowAs[:0])
	return &s.narrow, s.narrow.Parse(s.narrowAs)
}
