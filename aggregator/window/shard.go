package window

import (
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

// Config is what a shard is built with: what never changes in an installation,
// and what nobody can see. By which rules it judges stands in the sections.
type Config struct {
	Shard    int32  // this shard, in [0, Shards)
	Shards   int32  // how many shards the cluster has
	Reducers int32  // how many reducers the windows are spread over
	Size     int64  // length of a window in ms, at least 1
	Filter   string // the filter that stands for all clicks of this shard

	// Heavy is from how many clicks in a window on an ad is named by [Shard.Heavy]; 0
	// names none but those that are spread. It has no influence on what the shard says.
	Heavy int64

	// PartialBytes is about how large a partial may become, but for the 8 bytes of each row's
	// digest. Only a ranked list or a row that is larger by itself goes beyond. 0 is 400 KiB.
	PartialBytes int
}

// A window's number is its start / size. It has 32 bits, which with windows of
// a second reach beyond the year 2100.
const windowsMax = 1 << 32

// timeMax bounds every time and duration, so that sums of a few cannot overflow.
const timeMax = 1 << 53

func (c *Config) check() {
	switch {
	case c.Shard < 0 || c.Shard >= c.Shards || c.Reducers < 1:
		panic(fmt.Sprintf("window: no shard %d of %d with %d reducers", c.Shard, c.Shards, c.Reducers))
	case c.Size < 1 || c.Size > timeMax || c.PartialBytes < 0:
		panic(fmt.Sprintf("window: sizes out of range: %+v", *c))
	}
}

// Shard is one shard's state. It belongs to one goroutine.
type Shard struct {
	cfg      Config
	timeEnd  int64 // no click's time reaches it: its window's number has 32 bits
	position int64 // next shuffle offset

	sources   []source      // in the order of compareSources
	rules     click.Rules   // of the section being folded
	shares    []click.Share // likewise
	sets      []heardSet    // likewise
	watermark int64         // never falls; click.None until every source has one
	clock     int64         // the greatest At so far
	emitted   int64         // the clock at the last emission; click.None before the first

	windows   []*window  // ascending; from the oldest that has a remembered id
	recent    [8]*window // some of them, by number, to find them at once
	gone      int64      // windows below this number are let go of; never falls
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
	touched uint64    // see touch
	taking  *Snapshot // nil when none is being taken
	heavy   []Heavy
}

// New makes the shard that has read nothing. It panics when the configuration
// is out of its ranges.
func New(cfg Config) *Shard {
	cfg.check()
	if cfg.PartialBytes == 0 {
		cfg.PartialBytes = 400 << 10
	}
	s := &Shard{
		cfg: cfg, timeEnd: timeMax,
		watermark: click.None, clock: click.None, emitted: click.None,
	}
	if cfg.Size < timeMax/windowsMax {
		s.timeEnd = cfg.Size * windowsMax
	}
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
	if err := checkSection(sec); err != nil {
		return fmt.Errorf("fold: shuffle offset %d: %w", offset, err)
	}
	at, known := s.find(sec.Source)
	passed := known && s.sources[at].passesOver(sec)
	if known && !passed && sec.Start > s.sources[at].High {
		return Gap{Source: sec.Source, Want: s.sources[at].High, Got: sec.Start}
	}
	s.recycle()
	s.position = offset + 1
	if passed {
		return nil
	}
	if !known {
		s.join(at, sec)
	}
	src := &s.sources[at]
	src.hear(sec)
	if sec.End < src.High {
		return nil // said before, and more was said since
	}
	s.rules, s.shares, s.sets = sec.Rules, sec.Shares, s.sets[:0]
	s.ids.reach = sec.Rules.Horizon / s.cfg.Size
	n, err := s.judge(&src.Progress, sec)
	if err != nil {
		return fmt.Errorf("fold: shuffle offset %d: %w", offset, err)
	}
	src.take(sec)
	gone, forgotten := s.advance(sec)
	if s.due(gone) {
		s.emit(gone)
	}
	s.letGo(gone, forgotten)
	s.ids.sweep(n)
	return nil
}

// advance moves the shard's clock and watermark to what is known after a section.
// It returns below which numbers windows and ids may be let go of now.
func (s *Shard) advance(sec *click.Section) (gone, forgotten int64) {
	s.clock = max(s.clock, sec.At)
	gone, forgotten = s.gone, s.forgotten
	var active, expected int32
	var watermark, open, repeatable int64
	for i := range s.sources {
		src := &s.sources[i]
		if src.retired {
			continue
		}
		first := s.after(src.closed)
		again := max(0, first-src.horizon/s.cfg.Size)
		if active++; active == 1 {
			watermark, open, repeatable = src.Watermark, first, again
		}
		watermark = min(watermark, src.Watermark) // None is less than any
		open, repeatable = min(open, first), min(repeatable, again)
		expected = max(expected, src.expected)
	}
	if active == 0 || active < expected {
		return gone, forgotten
	}
	s.watermark = max(s.watermark, watermark)
	gone = max(gone, min(open, s.closed()))
	return gone, max(forgotten, min(repeatable, gone))
}

// checkSection refuses what no mapper sends, before anything is changed by it.
func checkSection(sec *click.Section) error {
	sane := func(ms int64) bool { return ms == click.None || ms >= -timeMax && ms <= timeMax }
	if sec.End < sec.Start || !sane(sec.Watermark) || !sane(sec.Closed) || !sane(sec.At) {
		return fmt.Errorf("section of %v: %w: range or times", sec.Source, click.ErrWire)
	}
	if r := &sec.Rules; r.Horizon > timeMax || r.Tick > timeMax {
		return fmt.Errorf("section of %v: %w: rules", sec.Source, click.ErrWire)
	}
	return nil
}
