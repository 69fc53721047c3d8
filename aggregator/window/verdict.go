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
	number uint32  // of its window
	window *window // when it is at hand; only touch may use it
	set    *set    // its filters; nil when it passed none
	hash   uint64  // of its identity: its digest
	adHash uint64
}

// judge gives every click at or above the source's high a verdict, and returns
// how many there were. Clicks go through in blocks: first the places that the
// block needs are computed and touched, which the processor does side by side,
// then the verdicts are given one by one.
func (s *Shard) judge(src *click.Progress, sec *click.Section) (total int, err error) {
	clicks := sec.Clicks // a copy walks without consuming
	for {
		n := 0
		for n < blockClicks && clicks.Next(&s.block[n].Routed) {
			r := &s.block[n].Routed
			if r.Offset >= sec.End || r.Time < 0 || r.Time >= s.timeEnd || len(r.Ad) > adMax {
				return total, fmt.Errorf("section of %v: %w: click at offset %d", sec.Source, click.ErrWire, r.Offset)
			}
			if r.Offset >= src.High {
				s.block[n].set = nil
				if r.Mask != 0 {
					s.block[n].set = s.set(r.Filters)
				}
				n++
			}
		}
		if n == 0 {
			clear(s.block[:]) // let the section go
			if !clicks.Whole() {
				err = fmt.Errorf("section of %v: %w: list of clicks", sec.Source, click.ErrWire)
			}
			return total, err
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

// touch computes where a block's clicks belong and loads what lies there, first
// the tags and indexes, then what they lead to, so that the processor waits for
// all of them at once and not for one after the other (measured: a tenth to a
// fifth less time per click). The sum is kept
// only so that the loads are made: the tables may change before the verdict.
func (s *Shard) touch(block []pending) {
	s.locate(block)
	// Short loops: the fewer instructions between two loads, the more of them
	// are under way at once.
	sum := s.touched
	for i := range block {
		sum += s.ids.touchTags(block[i].hash)
	}
	for i := range block {
		if w := block[i].window; w != nil {
			sum += w.ads.touchIndex(block[i].adHash)
		}
	}
	for i := range block {
		sum += s.ids.touchSlot(block[i].hash)
	}
	for i := range block {
		if w := block[i].window; w != nil {
			sum += w.ads.touchEntry(block[i].adHash)
		}
	}
	s.touched = sum
}

// locate computes which window and which places of the tables each click belongs to.
func (s *Shard) locate(block []pending) {
	var start, number int64
	for i := range block {
		p := &block[i]
		p.hash = p.ID.Digest()
		if p.Time < start || p.Time-start >= s.cfg.Size {
			number = p.Time / s.cfg.Size
			start = number * s.cfg.Size
		}
		p.number = uint32(number)
		p.adHash = click.HashAd(p.Ad, s.seed)
		p.window = s.recent[p.number%uint32(len(s.recent))]
		if p.window != nil && p.window.number != p.number {
			p.window = nil
		}
	}
}

// spread tells whether the section says that a click's ad is spread in its minute.
func (s *Shard) spread(p *pending) bool {
	for i := range s.shares {
		h := &s.shares[i]
		if h.Ad == string(p.Ad) && p.Time >= h.From && (h.Until == click.None || p.Time < h.Until) {
			return true
		}
	}
	return false
}

// verdict judges one click, and counts it if it is to be counted.
func (s *Shard) verdict(p *pending) Verdict {
	if int64(p.number) < s.gone {
		return Stale
	}
	if v := s.ids.find(p.hash, p.ID, p.Check, p.number); v != 0 {
		return v
	}
	if s.held >= s.rules.MaxIDs {
		return Crowded
	}
	if s.seed == 0 {
		s.seed = p.hash | 1 // identities are keyed: nobody outside can make ads collide
		for i := range s.block {
			s.block[i].adHash = click.HashAd(s.block[i].Ad, s.seed)
		}
	}
	w := s.window(p.number)
	ads := len(w.ads.entries)
	place := w.ads.add(p.adHash, p.Ad, p.hash, s.rules.MaxAds)
	if place < 0 {
		return Crowded
	}
	if len(s.shares) > 0 && place == ads && s.spread(p) {
		w.share(uint32(ads)) // it is for all clicks of the ad in this window or for none
	}
	cell := -1
	if p.set != nil {
		cell = w.masked.add(p.adHash, uint32(place), w.masked.number(p.set), p.Mask, p.hash)
	}
	w.clicks++
	w.changed = true
	if w.final && w.revised != s.position {
		// Counted by records and not by emissions: the same however often the
		// shard speaks, so a revision never goes back.
		w.revised = s.position
		w.revision++
	}
	s.held++
	c := slot{hi: p.ID.Hi, lo: p.ID.Lo, check: p.Check, window: p.number}
	s.ids.insert(p.hash, c)
	if s.taking != nil {
		s.taking.counted(p.hash, c, w, place, cell)
	}
	return Counted
}
