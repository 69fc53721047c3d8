package mapper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// clickOf is a click of the ad "hot" some minutes after the time of the bubble's beginning.
func clickOf(id, minutes int, began time.Time) string {
	return fmt.Sprintf(`{"event_id":"%d","ad_id":"hot","ts":%d}`, id, began.UnixMilli()+int64(minutes)*60_000)
}

// watchOpening fails the test when a click is sent whose minute was not opened before,
// and counts the records that open.
func (b *bench) watchOpening(openings *int) {
	opened := int64(click.None)
	b.log.OnAppend = func(topic string, messages []stream.Message) error {
		for _, m := range messages {
			switch {
			case topic == b.topics.Control && string(m.Key) == "open":
				var o struct {
					Before int64 `json:"before"`
				}
				if err := json.Unmarshal(m.Value, &o); err != nil || o.Before%60_000 != 0 {
					b.t.Errorf("opening %s: %v", m.Value, err)
				}
				opened = max(opened, o.Before)
				*openings++
			case topic == b.topics.Shuffle:
				s, err := click.ParseSection(m.Value)
				if err != nil {
					b.t.Error(err)
				}
				for c := (click.Routed{}); s.Clicks.Next(&c); {
					if c.Time >= opened {
						b.t.Errorf("click at %d, open are minutes before %d", c.Time, opened)
					}
				}
			}
		}
		return nil
	}
}

// Minutes are opened before their clicks are sent, in few records also for old clicks,
// and of the time to come no more than is needed.
func TestOpens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began, openings := newBench(t), time.Now(), 0
		b.m.cfg.Ahead = 2 * time.Minute
		b.watchOpening(&openings)
		b.put(clickOf(1, 0, began))
		if err := b.run(time.Second); err != nil || openings != 2 {
			t.Fatalf("%d records open, %v", openings, err)
		}
		time.Sleep(4000 * time.Minute) // a long history has gathered
		for m := range 4000 {
			b.put(clickOf(10+m, m, began))
		}
		openings = 0
		if err := b.run(time.Minute); err != nil || openings < 5 || openings > 20 {
			t.Errorf("%d records open 4,000 minutes: %v", openings, err)
		}
		f, err := control.Load(t.Context(), b.log, b.topics.Control)
		if err != nil {
			t.Fatal(err)
		}
		if ahead := f.Opened() - time.Now().UnixMilli(); ahead > 3*60_000 {
			t.Errorf("minutes are open %d ms ahead", ahead)
		}
	})
}

// shardsOf lists by event id, in order, the shards a click was sent to.
func (b *bench) shardsOf(shares bool) map[click.ID][]int32 {
	out := map[click.ID][]int32{}
	for shard := range int32(2) {
		for _, s := range b.sections(shard) {
			for c := (click.Routed{}); s.Clicks.Next(&c); {
				if shares == slices.ContainsFunc(s.Shares, func(h click.Share) bool { return string(c.Ad) == h.Ad && c.Time >= h.From }) {
					out[c.ID] = append(out[c.ID], shard)
				}
			}
		}
	}
	return out
}

// A spread holds from the end of what is open; who maps the same clicks again, before
// and after, sends each where it was sent.
func TestSpreads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := newBench(t), time.Now().Truncate(time.Minute)
		cluster := control.Cluster{ID: "x", Shards: 2, Reducers: 1, WindowMS: 60_000}
		if _, err := control.Settle(t.Context(), b.log, b.topics.Control, cluster, b.topics.Shuffle); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		for i := range 50 {
			b.put(clickOf(i, 20, began))
		}
		if err := b.run(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := control.NoteHot(t.Context(), b.log, b.topics.Control, "hot", control.Hot{Shards: 2}); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			b.put(clickOf(100+i, 20, began), clickOf(200+i, 21, began))
		}
		crash := errors.New("the positions are away")
		b.log.OnCommit = func(string, string, int32, stream.Position) error { return crash }
		b.m = b.mapper()
		if err := b.run(10 * time.Second); err == nil {
			t.Fatal("it did not crash")
		}
		b.log.OnCommit = nil
		b.m = b.mapper()
		if err := b.run(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		before, after := b.shardsOf(false), b.shardsOf(true)
		if len(before) != 100 || len(after) != 50 {
			t.Fatalf("%d clicks before the spread, %d after", len(before), len(after))
		}
		shards := map[int32]int{}
		for id, to := range after {
			shards[to[0]]++
			if len(slices.Compact(to)) != 1 {
				t.Errorf("%v went to shards %v", id, to)
			}
		}
		home := click.NewRouter(1, 2).Home([]byte("hot"))
		for id, to := range before {
			if to = slices.Compact(to); len(to) != 1 || to[0] != home {
				t.Errorf("%v went to shards %v, not to %d", id, to, home)
			}
		}
		if min(shards[0], shards[1]) < 10 {
			t.Errorf("dealt out as %v", shards)
		}
	})
}

// A control topic that does not show what was written to it stops the source.
func TestOpensInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := newBench(t), time.Now()
		b.put(clickOf(1, 0, began))
		b.m.log = deaf{b.log}
		if err := b.run(time.Second); err == nil {
			t.Fatal("it went on")
		}
		for shard := range int32(2) {
			for _, s := range b.sections(shard) {
				if s.Clicks.N > 0 {
					t.Error("a click was sent")
				}
			}
		}
	})
}

// deaf takes what is said in the control topic, and keeps none of it.
type deaf struct{ stream.Log }

func (d deaf) Append(ctx context.Context, topic string, messages []stream.Message) error {
	if topic == click.TopicsOf("clickagg").Control {
		return nil
	}
	return d.Log.Append(ctx, topic, messages)
}
