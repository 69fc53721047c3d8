package window

import (
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
	Sources []click.Progress // a copy, ordered by topic and partition, retired ones too

	Windows int   // whose counts are kept
	Unsaid  int   // of these, with counts that no partial has said yet
	Ads     int   // summed over these windows
	IDs     int64 // identities remembered, what the rules' MaxIDs limits
	Bytes   int64 // what the tables occupy
}

// Status describes the shard.
func (s *Shard) Status() Status {
	st := Status{
		Position: s.position, Watermark: s.watermark, Clock: s.clock, Sources: s.progress(nil),
		Windows: len(s.live()), IDs: s.held, Bytes: s.ids.bytes(),
	}
	low, active := int64(0), 0
	for i := range s.sources {
		p := &s.sources[i]
		if p.retired {
			continue
		}
		if active++; active == 1 || p.Watermark < low {
			low, st.HeldBy = p.Watermark, p.Source
		}
		st.Missing = max(st.Missing, int(p.expected))
	}
	st.Missing = max(0, st.Missing-active)
	for _, w := range s.live() {
		if w.changed {
			st.Unsaid++
		}
		st.Ads += len(w.ads.entries)
		st.Bytes += w.ads.bytes() + w.masked.bytes()
	}
	return st
}
