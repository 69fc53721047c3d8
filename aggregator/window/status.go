package window

import (
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// Status is how a shard is doing.
type Status struct {
	Position  int64 // next shuffle offset
	Watermark int64 // click.None while a source has none
	Clock     int64 // the greatest section's At; click.None before the first

	// Missing is how many sources the shard waits for that it never heard of.
	// While it is positive nothing becomes final.
	Missing int
	// HeldBy is the source that holds the watermark back: the first one without a
	// watermark, else the one with the least. It is the zero Source before any.
	HeldBy  click.Source
	Sources []click.Progress // a copy, ordered by topic and partition

	Windows int   // whose counts are kept
	Unsaid  int   // of these, with counts that no partial has said yet
	Ads     int   // summed over these windows
	IDs     int64 // identities remembered, what MaxIDs limits
	Bytes   int64 // what the tables occupy
}

// Status describes the shard.
func (s *Shard) Status() Status {
	st := Status{
		Position: s.position, Watermark: s.watermark, Clock: s.clock,
		Missing: max(0, int(s.expected)-len(s.sources)), Sources: slices.Clone(s.sources),
		Windows: len(s.live()), IDs: s.held, Bytes: s.ids.bytes(),
	}
	low := int64(0)
	for i := range s.sources {
		if p := &s.sources[i]; i == 0 || p.Watermark < low {
			low, st.HeldBy = p.Watermark, p.Source
		}
	}
	for _, w := range s.live() {
		if w.changed {
			st.Unsaid++
		}
		st.Ads += len(w.ads.entries)
		st.Bytes += w.ads.bytes()
	}
	return st
}
