package window

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// source is what a shard knows of one source.
type source struct {
	click.Progress
	term     int64 // of its newest owner
	closed   int64 // windows that end at or before it take no more clicks of the source; never falls
	horizon  int64 // as its newest section said
	expected int32 // how many sources there are, as it said
	at       int64 // when it said so
	retired  bool  // nobody waits for it
}

// passesOver tells whether a section is of an owner that another has followed: what
// it says beyond where the other one began was judged by nobody's leave, and
// maybe by other rules. A retired source comes back with a new owner only.
func (s *source) passesOver(sec *click.Section) bool {
	return sec.Term < s.term || s.retired && sec.Term == s.term
}

// hear takes in whose a section is.
func (s *source) hear(sec *click.Section) {
	if sec.Term > s.term {
		s.term, s.at, s.retired = sec.Term, click.None, false
	}
}

// take takes in what a section says of its source.
func (s *source) take(sec *click.Section) {
	s.High, s.Account = sec.End, sec.Account
	s.Watermark = max(s.Watermark, sec.Watermark)
	s.closed = max(s.closed, sec.Closed)
	if sec.At >= s.at { // copies of what was said earlier may come at any time
		s.at, s.horizon, s.expected = sec.At, sec.Rules.Horizon, sec.Sources
	}
	s.retired = sec.Final
}

// Gap is the error of a section that starts above the next offset expected of
// its source: what lies between never reached this shard.
type Gap struct {
	Source    click.Source
	Want, Got int64 // the offset expected, and the section's start
}

// Error says what is lost and what to do.
func (g Gap) Error() string {
	return fmt.Sprintf("offsets %d to %d of %v never reached this shard: stopped rather than count on; map them again from offset %d",
		g.Want, g.Got-1, g.Source, g.Want)
}

// find returns where a source stands among the sources, or where it belongs.
func (s *Shard) find(name click.Source) (at int, known bool) {
	return slices.BinarySearchFunc(s.sources, name, func(p source, q click.Source) int {
		return compareSources(p.Source, q)
	})
}

// join adds a source that was never heard of; its first section is its origin.
func (s *Shard) join(at int, sec *click.Section) {
	s.sources = slices.Insert(s.sources, at, source{
		Progress: click.Progress{Source: sec.Source, High: sec.Start, Watermark: click.None},
		term:     sec.Term, closed: click.None, at: click.None,
	})
}

// progress lists what a partial says of the sources.
func (s *Shard) progress(into []click.Progress) []click.Progress {
	into = into[:0]
	for i := range s.sources {
		into = append(into, s.sources[i].Progress)
	}
	return into
}

func compareSources(a, b click.Source) int {
	return cmp.Or(
		cmp.Compare(a.Topic, b.Topic),
		cmp.Compare(a.Partition, b.Partition),
		bytes.Compare(a.ID[:], b.ID[:]),
	)
}
