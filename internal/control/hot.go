package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Hot is what was said of one ad.
type Hot struct {
	Shards int32 `json:"shards"` // over how many shards its clicks go; 1 is none but its home, the end of a spread
	// Pinned: an operator said so, and what shards say of the ad is passed over
	// until an operator says something that is not pinned.
	Pinned bool `json:"pinned"`
	// Operator: it was said by one, and not by a shard.
	Operator bool `json:"operator"`
}

// Spread is one ad over several shards for a time, or over one where an operator
// wants it so.
type Spread struct {
	Hot
	Ad    string
	Since int64 // broker's time, Unix ms, when it was said
	From  int64 // event time, Unix ms, from which it holds
}

// ad is what the topic says of an ad so far. It is replaced, never changed.
type ad struct {
	now   Spread
	spans []click.Span // in the order of time, over more than one shard each
}

// Opened is the event time before which every minute is open: all that will ever be
// said of how its clicks are routed is in these facts. It is click.None before
// anything was opened.
func (f *Facts) Opened() int64 { return f.opened }

// Spans lists where clicks go that are in a minute at or after a time and whose ad is
// spread there, by ad. It is nil when there are none.
func (f *Facts) Spans(after int64) click.Spans {
	var out click.Spans
	for name, a := range f.hot {
		for i, s := range a.spans {
			if s.Until == click.None || s.Until > after {
				if out == nil {
					out = click.Spans{}
				}
				out[name] = a.spans[i:]
				break
			}
		}
	}
	return out
}

// Hot is what holds of an ad from the end of what is open on.
func (f *Facts) Hot(name string) (Spread, bool) {
	a, ok := f.hot[name]
	if !ok {
		return Spread{}, false
	}
	return a.now, true
}

// Spreads lists, in the order of the ads, those that are spread or pinned.
func (f *Facts) Spreads() []Spread {
	var out []Spread
	for _, name := range slices.Sorted(maps.Keys(f.hot)) {
		if s := f.hot[name].now; s.Shards > 1 || s.Pinned {
			out = append(out, s)
		}
	}
	return out
}

// farthest is how far ahead of the broker's time a mapped click may be: the most that
// watermark.max_future can be set to, and ten minutes for the clocks.
const farthest = (24*60 + 10) * 60_000

// opening is the value of a record that opens minutes.
type opening struct {
	Before int64 `json:"before"` // event time, Unix ms
}

func (f *Facts) open(r *click.Record) error {
	var o opening
	if err := json.Unmarshal(r.Value, &o); err != nil {
		return fmt.Errorf("open record: %w", err)
	}
	if f.opened == click.None && len(f.begun) > 0 {
		// An older release has mapped clicks, which opens nothing.
		f.opened = r.Append + farthest
	}
	f.opened = max(f.opened, o.Before)
	return nil
}

// opensNext is the start of the first window that is not open.
func (f *Facts) opensNext() int64 {
	size := f.Cluster.WindowMS
	return (f.opened + size - 1) / size * size
}

// heat takes what is said of an ad. It holds from the end of what is open: nobody
// has routed a click from there on, and who will knows it by then. What an operator
// pinned, shards do not change.
func (f *Facts) heat(name string, r *click.Record) error {
	var h Hot
	if err := json.Unmarshal(r.Value, &h); err != nil {
		return fmt.Errorf("hot record: %w", err)
	}
	if f.Cluster == nil || h.Shards < 1 || h.Shards > f.Cluster.Shards {
		return fmt.Errorf("hot record: %q over %d shards", name, h.Shards)
	}
	old := f.hot[name]
	switch {
	case f.opened == click.None:
		return nil // nobody knows what was routed before
	case old != nil && old.now.Pinned && !h.Operator:
		return nil
	}
	from := f.opensNext()
	a := &ad{now: Spread{Hot: h, Ad: name, Since: r.Append, From: from}}
	before := int32(1)
	if old != nil {
		if before = old.now.Shards; before == h.Shards {
			a.now.From = old.now.From
		}
		a.spans = slices.Clone(old.spans)
	}
	f.hot[name] = a
	if before == h.Shards {
		return nil
	}
	if n := len(a.spans); n > 0 && a.spans[n-1].Until == click.None {
		if a.spans[n-1].Until = from; a.spans[n-1].From == from {
			a.spans = a.spans[:n-1] // it never held
		}
	}
	if h.Shards > 1 {
		a.spans = append(a.spans, click.Span{From: from, Until: click.None, Shards: h.Shards})
	}
	return nil
}

// Open states that minutes before an event time are open. Whoever routes a click of
// such a minute must have read the topic up to a record that opened it.
func Open(ctx context.Context, log stream.Log, topic string, before int64) error {
	value, err := json.Marshal(opening{before})
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	return note(ctx, log, topic, keyOpen, value)
}

// NoteHot states over how many shards the clicks of an ad go, from the end of what
// is open on.
func NoteHot(ctx context.Context, log stream.Log, topic, ad string, h Hot) error {
	value, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	return note(ctx, log, topic, keyHot+ad, value)
}
