package window

import (
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

// Verdict is what a shard makes of a click.
type Verdict uint8

// The verdicts, as in [click.Tally].
const (
	Counted   Verdict = iota + 1 // zero is no verdict
	Duplicate                    // its identity was counted before, with the same bytes; of two counted ones near it, either will do
	Conflict                     // its identity was counted before, with other bytes
	Crowded                      // a limit of the shard was reached; its identity is not remembered
	Stale                        // the shard has let go of its window
)

var verdictNames = [...]string{
	Counted: "counted", Duplicate: "duplicate", Conflict: "conflict", Crowded: "crowded", Stale: "stale",
}

// String is the verdict's stable name.
func (v Verdict) String() string {
	if v < Counted || v > Stale {
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
	return verdictNames[v]
}

// Refusal names a click that should have been counted and was not.
type Refusal struct {
	Source  click.Source
	Offset  int64
	Verdict Verdict // Crowded or Stale
}

// Refused returns the clicks refused by Folds since the last call, in the
// order of the log. It is valid until the next Fold.
func (s *Shard) Refused() []Refusal {
	if s.taken {
		return nil
	}
	s.taken = true
	return s.refused
}

// blockClicks is how many clicks go through the tables together.
const blockClicks = 32

// pending is one click of a block and where the tables look for it.
type pending struct {
	click.Routed
	number uint32 // of its window
	hash   uint64 // of its identity
	adHash uint64
}

// judge gives every click at or above the source's high a verdict, and returns
// how many there were. Clicks go through in blocks: first the places that the
// block needs are computed and touched, which the processor does side by side,
// then the verdicts are given one by one.
func (s *Shard) judge(src *click.Progress, clicks click.Clicks) int {
	total := 0
	for {
		n := 0
		for n < blockClicks && clicks.Next(&s.block[n].Routed) {
			if s.block[n].Offset >= src.High {
				n++
			}
		}
		if n == 0 {
			clear(s.block[:]) // let the section go
			return total
		}
		total += n
		s.touch(s.block[:n])
		for i := range n {
			p := &s.block[i]
			switch s.verdict(p) {
			case Counted:
				src.Tally.Counted++
			case Duplicate:
				src.Tally.Duplicate++
			case Conflict:
				src.Tally.Conflict++
			case Crowded:
				src.Tally.Crowded++
				s.refused = append(s.refused, Refusal{src.Source, p.Offset, Crowded})
			case Stale:
				src.Tally.Stale++
				s.refused = append(s.refused, Refusal{src.Source, p.Offset, Stale})
			}
		}
	}
}

// touch computes where a block's clicks belong and loads what lies there of the
// ads; the sum is kept only so that the loads are made. What it finds is not
// used: the tables may change between here and the verdict. (Loading the ids'
// places too made no difference that could be measured.)
func (s *Shard) touch(block []pending) {
	sum := s.touched
	var start, number int64
	for i := range block {
		p := &block[i]
		p.hash = hashID(p.ID)
		if p.Time < start || p.Time-start >= s.cfg.Size {
			number = p.Time / s.cfg.Size
			start = number * s.cfg.Size
		}
		p.number = uint32(number)
		p.adHash = click.HashAd(p.Ad, s.seed)
	}
	for i := range block {
		p := &block[i]
		if w := s.recent[p.number%uint32(len(s.recent))]; w != nil && w.number == p.number {
			sum += w.ads.touch(p.adHash)
		}
	}
	s.touched = sum
}

// verdict judges one click, and counts it if it is to be counted.
func (s *Shard) verdict(p *pending) Verdict {
	if int64(p.number) < s.gone {
		return Stale
	}
	if v := s.ids.find(p.hash, p.ID, p.Check, p.number); v != 0 {
		return v
	}
	if s.held >= int64(s.cfg.MaxIDs) {
		return Crowded
	}
	if s.seed == 0 {
		s.seed = p.hash | 1 // identities are keyed: nobody outside can make ads collide
		for i := range s.block {
			s.block[i].adHash = click.HashAd(s.block[i].Ad, s.seed)
		}
	}
	w := s.window(p.number)
	if !w.ads.add(p.adHash, p.Ad, s.cfg.MaxAds) {
		return Crowded
	}
	w.clicks++
	w.changed = true
	s.held++
	s.ids.insert(p.hash, slot{hi: p.ID.Hi, lo: p.ID.Lo, check: p.Check, window: p.number})
	return Counted
}
