package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// pin lets an operator spread some ad, merge it back, or leave it to the shards.
func (w *world) pin() {
	h := control.Hot{Operator: true, Shards: 1 + int32(w.choose(w.cfg.shards, "over how many")), Pinned: w.choose(2, "pinned") == 1}
	value, err := json.Marshal(h)
	if err != nil {
		panic(err)
	}
	key := "hot/ad" + strconv.Itoa(w.choose(5, "which ad"))
	w.log.land(w.now, w.topics.Control, []stream.Message{{Key: []byte(key), Value: value}})
}

// facts reads the control topic as it is, without faults.
func (w *world) facts() control.Facts {
	f, err := control.Load(context.Background(), plain{w: w}, w.topics.Control)
	if err != nil {
		panic(err)
	}
	return f
}

// plain is the log without faults; only its control topic is read.
type plain struct {
	stream.Log
	w *world
}

func (l plain) Bounds(_ context.Context, name string, partition int32) (start, end int64, err error) {
	return 0, int64(len(l.w.log.topics[name].partitions[partition])), nil
}

func (l plain) Open(_ context.Context, name string, partition int32, _ stream.Place) (stream.Reader, error) {
	return whole(l.w.log.topics[name].partitions[partition]), nil
}

// whole reads a partition at once.
type whole []click.Record

func (r whole) Read(context.Context, time.Duration) (*stream.Batch, error) {
	return &stream.Batch{Records: r, Next: int64(len(r)), End: int64(len(r))}, nil
}

func (whole) Close() error { return nil }

// spread counts how often an ad was spread or merged back, and the shares that
// shards told of.
func (w *world) spread(r *Result) {
	for _, rec := range w.log.topics[w.topics.Control].partitions[0] {
		if strings.HasPrefix(string(rec.Key), "hot/") {
			r.Switches++
		}
	}
	for _, partials := range w.log.topics[w.topics.Partials].partitions {
		for i := range partials {
			if p := new(click.Partial); p.Parse(partials[i].Value) == nil {
				for j := range p.Windows {
					r.Shares += int64(len(p.Windows[j].Shares))
				}
			}
		}
	}
}

// misrouter sends clicks of spread ads, or shares of them, where they do not belong.
type misrouter struct {
	handle
	m mutant
	w *world
}

func (r *misrouter) Append(ctx context.Context, topic string, messages []stream.Message) error {
	messages = cloneMessages(messages)
	switch topic {
	case r.w.topics.Shuffle:
		if r.m == newestSpread || r.m == bySource {
			r.reroute(messages)
		}
	case r.w.topics.Partials:
		for i := range messages {
			var p click.Partial
			if err := p.Parse(messages[i].Value); err == nil {
				for j := range p.Windows {
					r.share(&p.Windows[j])
				}
				messages[i].Value = p.Append(nil)
			}
		}
	}
	return r.handle.Append(ctx, topic, messages)
}

// share changes what is told of the shares of a window.
func (r *misrouter) share(w *click.WindowPart) {
	switch {
	case r.m == newestShare:
		w.Rows, w.Ads, w.Shares = append(w.Rows, w.Shares...), w.Ads+int64(len(w.Shares)), nil
	case r.m == ranksShares && len(w.Top) > 0:
		w.Shares = slices.DeleteFunc(w.Shares, func(s click.Row) bool { return s.Count < w.Top[0].Count })
	}
}

// reroute deals the clicks of all sections of a source out anew.
func (r *misrouter) reroute(messages []stream.Message) {
	router, facts := click.NewRouter(secret, int32(r.w.cfg.shards)), r.w.facts()
	spans := facts.Spans(click.None)
	sections := make([]click.Section, len(messages))
	var clicks []dealt
	for i := range messages {
		s, err := click.ParseSection(messages[i].Value)
		if err != nil {
			return
		}
		var c click.Routed
		for s.Clicks.Next(&c) {
			clicks = append(clicks, dealt{c, int32(i)})
		}
		s.Clicks.Reset(s.Start)
		sections[i] = s
	}
	slices.SortFunc(clicks, func(a, b dealt) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := range clicks {
		c := &clicks[i]
		home := router.Home(c.Ad)
		span := spans.Find(c.Ad, c.Time)
		switch now, ok := facts.Hot(string(c.Ad)); {
		case r.m == bySource && span != nil:
			c.shard = (home + sections[0].Source.Partition) % int32(r.w.cfg.shards)
		case r.m == newestSpread && ok && now.Shards > 1:
			span = &click.Span{Until: click.None}
			c.shard = router.Spread(home, c.ID, now.Shards)
		case r.m == newestSpread:
			span, c.shard = nil, home
		}
		s := &sections[c.shard]
		s.Clicks.Add(&c.Routed)
		if span != nil && !slices.ContainsFunc(s.Shares, func(h click.Share) bool { return h.Ad == string(c.Ad) && h.From == span.From }) {
			s.Shares = append(s.Shares, click.Share{Ad: string(c.Ad), From: span.From, Until: span.Until})
		}
	}
	for i := range messages {
		messages[i].Value = sections[i].Append(nil)
	}
}

// dealt is a click and the shard it goes to.
type dealt struct {
	click.Routed
	shard int32
}
