package merge

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// source is what is known of one source. The account is a function of the
// source's log alone, so the one at the greatest offset stands for all shards;
// the tallies are each shard's own.
type source struct {
	name      click.Source
	high      int64 // the greatest offset a shard is at
	watermark int64 // of the source at high
	account   click.Account
	seats     []seat // of the shards that spoke of it, in ascending order of shard
	// agreed is where all shards were at one offset last, with the account and the sum
	// of the tallies there; its High is 0 before they were.
	agreed click.Progress
}

// seat is how far one shard is with a source.
type seat struct {
	shard int32
	high  int64
	tally click.Tally
}

// Broken is where the accounting identity was first seen not to hold: records
// are lost or counted twice, by a defect or by a foreign hand in the topics.
type Broken struct {
	Source click.Source
	High   int64 // offset of the source up to which the identity fails
	Offset int64 // offset of the partial that showed it
}

func newSource(name click.Source) *source {
	return &source{name: name, watermark: click.None, agreed: click.Progress{Source: name, Watermark: click.None}}
}

// account takes a shard's progress with one source.
func (r *Reducer) account(shard int32, g *click.Progress) {
	at, known := slices.BinarySearchFunc(r.sources, g.Source, func(s *source, k click.Source) int {
		return compareSources(s.name, k)
	})
	if !known {
		r.sources = slices.Insert(r.sources, at, newSource(g.Source))
	}
	s := r.sources[at]
	i, ok := slices.BinarySearchFunc(s.seats, shard, func(e seat, k int32) int { return cmp.Compare(e.shard, k) })
	if !ok {
		s.seats = slices.Insert(s.seats, i, seat{})
	}
	s.seats[i] = seat{shard: shard, high: g.High, tally: g.Tally}
	// One offset has one account, or the source's log was read as two different ones.
	forked := known && g.High == s.high && g.Account != s.account
	if g.High > s.high {
		s.watermark = click.None // an older one; it may also rise at one offset, when the source is idle
	}
	if g.High >= s.high {
		s.high, s.watermark, s.account = g.High, max(s.watermark, g.Watermark), g.Account
	}
	settled := s.settled(len(r.shards))
	if settled {
		s.agreed = click.Progress{Source: s.name, High: s.high, Watermark: click.None, Account: s.account, Tally: s.tally()}
	}
	if r.broken == nil && (forked || settled && !s.holds()) {
		r.broken = &Broken{Source: s.name, High: g.High, Offset: r.position - 1}
	}
}

// settled tells whether all shards are at the same offset: there the identity can be decided.
func (s *source) settled(shards int) bool {
	for i := range s.seats {
		if s.seats[i].high != s.high {
			return false
		}
	}
	return len(s.seats) == shards
}

// holds tells whether every record the mapper received is in one of its own
// verdicts or in one of a shard's.
func (s *source) holds() bool { return s.account.Holds() && s.account.Routed == s.tally().Total() }

// tally adds up the shards' verdicts.
func (s *source) tally() (t click.Tally) {
	for i := range s.seats {
		t.Add(&s.seats[i].tally)
	}
	return t
}

func compareSources(a, b click.Source) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Partition, b.Partition))
}

// Status is what a reducer knows of itself, for people and for metrics.
type Status struct {
	Position  int64 // next offset of the partials partition
	Watermark int64 // Unix ms; None while a shard has none
	Slowest   int32 // the shard that holds the watermark back, the first of several; -1 before any was heard
	Shards    []ShardStatus
	Windows   int        // windows held, each filter's apart
	Unranked  int64      // windows that shards spoke of after they were let go; 0 unless something is wrong
	Hold      click.Hold // the newest correction's; number 0 before any
	Passed    int64      // records of corrections that were passed over
	Sources   []SourceStatus
	Broken    *Broken // nil while the accounting identity holds; once set it stays
}

// ShardStatus is how far one shard is.
type ShardStatus struct {
	Position  int64 // its place in the shuffle log up to which all was said; 0 while it is missing
	Watermark int64 // Unix ms; None while it has none
}

// SourceStatus is what became of one source's records up to an offset.
type SourceStatus struct {
	Source    click.Source
	High      int64         // the greatest offset a shard is at
	Watermark int64         // of the source at High; None while it has none
	Account   click.Account // what the mapper made of the records, at High
	Tally     click.Tally   // what the shards made of the clicks, each at its own offset
	Settled   bool          // every shard is at High, so that the identity can be decided
	Holds     bool          // received = marks + late + rejected + routed, and routed is what the shards tallied
}

// Status copies the state out.
func (r *Reducer) Status() Status {
	st := Status{
		Position: r.position, Watermark: r.watermark, Slowest: -1,
		Windows: len(r.windows), Unranked: r.unranked, Hold: r.hold, Passed: r.passed,
	}
	if r.broken != nil {
		b := *r.broken
		st.Broken = &b
	}
	for i, s := range r.shards {
		st.Shards = append(st.Shards, ShardStatus{Position: s.said, Watermark: s.watermark})
		if st.Slowest < 0 || s.watermark < r.shards[st.Slowest].watermark {
			st.Slowest = int32(i)
		}
	}
	for _, s := range r.sources {
		st.Sources = append(st.Sources, SourceStatus{
			Source: s.name, High: s.high, Watermark: s.watermark, Account: s.account, Tally: s.tally(),
			Settled: s.settled(len(r.shards)), Holds: s.holds(),
		})
	}
	return st
}
