package click

// Span is a stretch of event time in which an ad is spread over several shards. Its
// ends are windows' ends.
type Span struct {
	From   int64 // Unix ms
	Until  int64 // Unix ms, not in it; None while it has no end
	Shards int32 // more than 1
}

// Holds tells whether an event time lies in the span.
func (s *Span) Holds(ms int64) bool { return ms >= s.From && (s.Until == None || ms < s.Until) }

// Spans are those of the ads that are spread, each ad's in the order of time.
type Spans map[string][]Span

// Find returns the span of an ad that holds at an event time, or nil.
func (s Spans) Find(ad []byte, ms int64) *Span {
	spans := s[string(ad)]
	for i := range spans {
		if spans[i].Holds(ms) {
			return &spans[i]
		}
	}
	return nil
}

// Share names a spread ad that a section has clicks of. A shard's counts of the ad in
// the windows of the span are shares of the whole.
type Share struct {
	Ad          string
	From, Until int64 // as in [Span]
}

// Spread returns the shard of one click of an ad that is spread over some shards,
// beginning with its home, which is where [Router.Route] sends it. Clicks of one
// id go to one shard. There must be no more than the cluster has.
func (r Router) Spread(home int32, id ID, over int32) int32 {
	return int32((uint64(home) + (id.Lo>>32)*uint64(over)>>32) % r.shards)
}
