package window

import (
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

// Config is what a shard is built with. All durations are in milliseconds.
type Config struct {
	Shard    int32 // this shard, in [0, Shards)
	Shards   int32 // how many shards the cluster has
	Reducers int32 // how many reducers the windows are spread over

	Size     int64 // length of a window, at least 1
	Lateness int64 // how long after its end a window is still corrected
	Horizon  int64 // how far apart the windows of a click and its repeat may start
	Tick     int64 // clock between two emissions

	Top    int    // length of a window's ranked list; 0 sends none
	MaxIDs int    // most identities remembered, at least 1
	MaxAds int    // most ads in one window, at least 1
	Filter string // the filter all clicks of this shard passed
}

// A window's number is its start / size. It has 32 bits, which with windows of
// a second reach beyond the year 2100.
const windowsMax = 1 << 32

// timeMax bounds every time and duration, so that sums of a few cannot overflow.
const timeMax = 1 << 53

func (c *Config) check() {
	span := func(ms int64) bool { return ms >= 0 && ms <= timeMax }
	switch {
	case c.Shard < 0 || c.Shard >= c.Shards || c.Reducers < 1:
		panic(fmt.Sprintf("window: no shard %d of %d with %d reducers", c.Shard, c.Shards, c.Reducers))
	case c.Size < 1 || !span(c.Size) || !span(c.Lateness) || !span(c.Horizon) || !span(c.Tick):
		panic(fmt.Sprintf("window: durations out of range: %+v", *c))
	case c.Top < 0 || c.MaxIDs < 1 || c.MaxAds < 1:
		panic(fmt.Sprintf("window: limits out of range: %+v", *c))
	}
}

// Shard is one shard's state. It belongs to one goroutine.
type Shard struct {
	cfg      Config
	timeEnd  int64 // no click's time reaches it: its window's number has 32 bits
	position int64 // next shuffle offset

	sources   []click.Progress // in the order of compareSources
	expected  int32            // how many sources the newest section spoke of
	watermark int64            // never falls; click.None until every source has one
	clock     int64            // the greatest At so far
	emitted   int64            // the clock at the last emission; click.None before the first

	windows   []*window  // ascending; from the oldest that has a remembered id
	recent    [8]*window // some of them, by number, to find them at once
	gone      int64      // windows below this number were let go of; never falls
	forgotten int64      // and the ids of those below this one; never falls
	held      int64      // identities remembered, not counting forgotten ones
	ids       ids
	seed      uint64 // of the ads' hash: the first counted click's identity, 0 before it

	said    int64 // the position at the last emission
	draft   draft
	outbox  outbox
	refused []Refusal
	taken   bool // refused was handed out
	block   [blockClicks]pending
	touched uint64 // see touch
}

// New makes the shard that has read nothing. It panics when the configuration
// is out of its ranges.
func New(cfg Config) *Shard {
	cfg.check()
	s := &Shard{
		cfg: cfg, timeEnd: timeMax,
		watermark: click.None, clock: click.None, emitted: click.None,
	}
	if cfg.Size < timeMax/windowsMax {
		s.timeEnd = cfg.Size * windowsMax
	}
	s.ids.reach = cfg.Horizon / cfg.Size
	return s
}

// Position is the next shuffle offset the shard wants.
func (s *Shard) Position() int64 { return s.position }

// Fold takes in the shuffle record at an offset; offsets rise. It returns a
// [Gap] when the section proves a loss; the shard is then as before. It returns an
// error wrapping [click.ErrWire] when the section is malformed, which none of a
// mapper's is: part of it may have been counted, so the shard must be left and
// restored from a snapshot. The section may be reused after the call.
func (s *Shard) Fold(offset int64, sec *click.Section) error {
	if offset < s.position {
		return fmt.Errorf("fold: shuffle offset %d again, the next is %d: read on from there", offset, s.position)
	}
	at, known := s.find(sec.Source)
	if known && sec.Start > s.sources[at].High {
		return Gap{Source: sec.Source, Want: s.sources[at].High, Got: sec.Start}
	}
	if err := s.checkSection(sec); err != nil {
		return fmt.Errorf("fold: shuffle offset %d: %w", offset, err)
	}
	s.recycle()
	s.position = offset + 1
	if !known {
		s.join(at, sec)
	}
	src := &s.sources[at]
	if sec.End < src.High {
		return nil // said before, and more was said since
	}
	n, err := s.judge(src, sec)
	if err != nil {
		return fmt.Errorf("fold: shuffle offset %d: %w", offset, err)
	}
	src.High = sec.End
	src.Account = sec.Account
	src.Watermark = max(src.Watermark, sec.Watermark)
	s.advance(sec)
	if s.due() {
		s.emit()
	}
	s.letGo()
	s.ids.sweep(n)
	return nil
}

// advance moves the shard's clock and watermark to what is known after a section.
func (s *Shard) advance(sec *click.Section) {
	if sec.At >= s.clock {
		s.clock, s.expected = sec.At, sec.Sources
	}
	if len(s.sources) < int(s.expected) {
		return
	}
	low := s.sources[0].Watermark
	for i := range s.sources {
		low = min(low, s.sources[i].Watermark) // None is less than any
	}
	s.watermark = max(s.watermark, low)
}

// checkSection refuses what no mapper sends, before anything is changed by it.
func (s *Shard) checkSection(sec *click.Section) error {
	sane := func(ms int64) bool { return ms == click.None || ms >= -timeMax && ms <= timeMax }
	if sec.End < sec.Start || !sane(sec.Watermark) || !sane(sec.At) {
		return fmt.Errorf("section of %v: %w: range or times", sec.Source, click.ErrWire)
	}
	return nil
}
