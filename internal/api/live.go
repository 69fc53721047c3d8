package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

const (
	streamsMax   = 64
	streamAdsMax = 20
	streamLast   = 5 * time.Minute
	heartbeat    = 15 * time.Second
	ratedOver    = 5 // ticks over which clicks a second are reckoned
)

// State is how the installation is, for those who watch it: the event "state" of a stream.
type State struct {
	CompleteUntil   *time.Time       `json:"complete_until"`       // nil when not known
	HoldsBack       string           `json:"holds_back,omitempty"` // what keeps complete_until from moving on
	ClicksPerSecond *float64         `json:"clicks_per_second"`    // counted in the last seconds; nil at first
	Counted         int64            `json:"counted"`              // of all sources
	Duplicate       int64            `json:"duplicate"`
	Late            int64            `json:"late"`
	Rejected        map[string]int64 `json:"rejected"` // by reason
}

// wanted is one thing that a stream tells.
type wanted struct {
	key string // the same for all who want the same
	ask func(context.Context) []byte
}

// live streams what changes, as server-sent events, until its reader leaves.
func (s *Server) live(w http.ResponseWriter, c *call) error {
	leave, ok := s.follows.Take(s.door.Client(c.Request, c.who))
	if !ok {
		return tooManyStreams.about("", "you have %d streams open; close one, or ask questions", streamsEach)
	}
	defer leave()
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return tooManyStreams.about("", "%d streams are open; ask again in a moment, or ask questions", streamsMax)
	}
	limited, cancel := c.limited()
	wants, err := s.wants(limited)
	cancel()
	if err != nil {
		return err
	}
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lift the read deadline: %w", err)
	}
	w.Header().Set("Content-Type", mediaEvents)
	w.Header().Set("X-Accel-Buffering", "no") // proxies hand on what comes when it comes
	w.WriteHeader(http.StatusOK)
	if c.Method == http.MethodHead {
		return nil
	}
	r := newReader()
	for _, want := range wants {
		defer s.hub.join(r, want.key, s.rescued(want.ask))()
	}
	out := &patient{w: w, control: control}
	s.tellReader(c.Context(), out, r, func() bool { return s.door.Still(c.Request, c.who) })
	return nil // a reader that has gone need not be told
}

// tellReader writes the events of a reader until either is done, or the reader may not
// ask any more: what is withdrawn meanwhile ends the stream.
func (s *Server) tellReader(ctx context.Context, out *patient, r *reader, still func() bool) {
	quiet := time.NewTimer(heartbeat)
	defer quiet.Stop()
	for {
		var event []byte
		last := false
		select {
		case event = <-r.events:
		case <-quiet.C:
			event = []byte(": alive\n\n")
		case <-r.behind:
			event, last = eventOf("problem", slowReader.about("", "events came faster than they were read; ask again, for less")), true
		case <-s.stopping:
			event, last = eventOf("problem", interrupted.about("", "the process is stopping; ask again in a moment")), true
		case <-ctx.Done():
			return
		}
		if !last && !still() {
			event, last = eventOf("problem", unauthorized.about("", "what this token or certificate stood for when the stream began was withdrawn or changed; ask again")), true
		}
		quiet.Reset(heartbeat)
		if _, err := out.Write(event); err != nil || out.control.Flush() != nil || last {
			return
		}
	}
}

// wants reads what a stream is to tell.
func (s *Server) wants(c *call) ([]wanted, error) {
	p := c.params
	filter, err := s.filter(c)
	if err != nil {
		return nil, err
	}
	n, err := p.n()
	if err != nil {
		return nil, err
	}
	length := max(streamLast, s.answers.Window())
	if last, ok := p.one("last"); ok {
		if length, err = lastLength(last, s.answers.Window()); err != nil {
			return nil, err
		}
	}
	wants := []wanted{{"state", s.askState()}, {fmt.Sprintf("top %d %d %s", n, length, filter.id), s.askTop(filter.id, n, length)}}
	if len(p["ad_id"]) == 0 {
		return wants, nil
	}
	ads, err := p.ads(streamAdsMax)
	if err != nil {
		return nil, err
	}
	for _, ad := range ads {
		wants = append(wants, wanted{fmt.Sprintf("count %d %s %s", length, filter.id, ad), s.askCount(filter.id, ad, length)})
	}
	return wants, nil
}

func (s *Server) askTop(filter string, n int, length time.Duration) func(context.Context) []byte {
	return func(ctx context.Context) []byte {
		now := s.now()
		f, _, err := s.known(ctx, filter)
		if err != nil {
			return eventOr("top", nil, err)
		}
		a, err := s.answers.Top(ctx, filter, n, now.Add(-length).UnixMilli(), now.UnixMilli())
		return eventOr("top", topOf(&a, f), err)
	}
}

func (s *Server) askCount(filter, ad string, length time.Duration) func(context.Context) []byte {
	return func(ctx context.Context) []byte {
		now := s.now()
		f, _, err := s.known(ctx, filter)
		if err != nil {
			return eventOr("count", nil, err)
		}
		a, err := s.answers.Count(ctx, filter, []byte(ad), now.Add(-length).UnixMilli(), now.UnixMilli())
		return eventOr("count", Count{AdID: ad, Count: a.Clicks, Frame: frameOf(a.Frame, f, a.Revision)}, err)
	}
}

// askState reckons how many clicks are counted in a second from how many there were
// some ticks ago.
func (s *Server) askState() func(context.Context) []byte {
	type sample struct {
		at      time.Time
		counted int64
	}
	var samples []sample
	return func(context.Context) []byte {
		st := s.status()
		state := State{CompleteUntil: st.CompleteUntil, HoldsBack: st.HoldsBack, Rejected: map[string]int64{}}
		for reason, n := range st.Rejected {
			state.Rejected[reason] = n
		}
		for i := range st.Accounting {
			a := &st.Accounting[i]
			state.Counted += a.Counted
			state.Duplicate += a.Duplicate
			state.Late += a.Late
		}
		samples = append(samples, sample{s.now(), state.Counted})
		samples = samples[max(0, len(samples)-ratedOver-1):]
		first, last := samples[0], samples[len(samples)-1]
		if seconds := last.at.Sub(first.at).Seconds(); seconds > 0 {
			// Less than before is a process that was started anew and has not said all yet.
			state.ClicksPerSecond = new(float64(max(0, last.counted-first.counted)) / seconds)
		}
		return eventOf("state", state)
	}
}

// rescued tells a panic as a problem: one bad question must not end the process.
func (s *Server) rescued(ask func(context.Context) []byte) func(context.Context) []byte {
	return func(ctx context.Context) (event []byte) {
		defer func() {
			if v := recover(); v != nil {
				s.metrics.panics.Inc()
				s.log.Error("panic while answering a stream", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
				event = eventOf("problem", problemOf(errPanic))
			}
		}()
		return ask(ctx)
	}
}

// eventOr is an answer, or the problem there is instead; nil when nobody waits for it.
func eventOr(name string, v any, err error) []byte {
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case err != nil:
		return eventOf("problem", problemOf(err))
	}
	return eventOf(name, v)
}

// eventOf writes a server-sent event. JSON has no line breaks, so one line of data holds it.
func eventOf(name string, v any) []byte {
	b, err := encode(v) // ends with a line break
	if err != nil {
		panic("api: an event cannot be encoded: " + err.Error()) // texts and numbers always can
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n", name, b)
}
