package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// crowd produces clicks minute by minute, and knows what must come of them.
type crowd struct {
	s       *server
	log     stream.Log
	random  *rand.Rand
	start   time.Time
	ids     int
	sent    int64
	repeats int64
	past    [][]stream.Message         // by minute
	truth   map[string]map[int64]int64 // by ad and minute
}

// minute produces the clicks of one event minute, of which the hot ad has nine in
// ten, and then repeats some of it and of the three minutes before, by any partition.
func (c *crowd) minute(ctx context.Context, hot, others int) {
	c.s.t.Helper()
	m := int64(len(c.past))
	var clicks []stream.Message
	for i := range hot + others {
		ad := "hot"
		if i >= hot {
			ad = fmt.Sprintf("ad%d", c.random.IntN(20))
		}
		c.ids++
		at := c.start.UnixMilli() + m*60_000 + int64(i)*60_000/int64(hot+others)
		clicks = append(clicks, stream.Message{
			Partition: int32(c.random.IntN(4)), Value: fmt.Appendf(nil, `{"event_id":"%d","ad_id":%q,"ts":%d}`, c.ids, ad, at),
		})
		if c.truth[ad] == nil {
			c.truth[ad] = map[int64]int64{}
		}
		c.truth[ad][m]++
	}
	c.past = append(c.past, clicks)
	again := clicks
	for range 60 {
		old := c.past[max(0, int(m)-c.random.IntN(4))]
		r := old[c.random.IntN(len(old))]
		r.Partition = int32(c.random.IntN(4))
		again = append(again, r)
		c.repeats++
	}
	if err := c.log.Append(ctx, "clicks", again); err != nil {
		c.s.t.Fatal(err)
	}
	c.sent += int64(len(again))
}

// hot runs a clickagg hot command and decodes what it prints.
func (s *server) hot(into any, args ...string) {
	s.t.Helper()
	stdout, stderr, status := run(s.t, append(append([]string{"hot"}, args...), "-o", "json", "--embedded.listen", s.broker)...)
	if status != 0 {
		s.t.Fatalf("hot %v: status %d: %s", args, status, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), into); err != nil {
		s.t.Fatal(err)
	}
}

// hotAds is what clickagg hot list says.
func (s *server) hotAds() (list []api.HotAd) {
	s.t.Helper()
	s.hot(&list, "list")
	return list
}

// TestHotAd: an ad with most clicks is found, spread over all shards from a minute on
// and merged back when it cools, with repeats across both switches and a process that
// is killed; another one is pinned. Every count, every duplicate and the ranked list are exact.
func TestHotAd(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t, "--hot.threshold", "500", "--aggregator.tick", "100ms", "--mapper.heartbeat", "100ms")
	c := &crowd{
		s: s, log: s.dial(ctx), random: rand.New(rand.NewPCG(1, 2)), start: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC),
		truth: map[string]map[int64]int64{},
	}
	until := func(what string, ready func([]api.HotAd) bool, hot, others int) (list []api.HotAd) {
		t.Helper()
		s.eventually(ctx, what, func() error {
			c.minute(ctx, hot, others)
			s.settled(ctx, c.sent)
			if list = s.hotAds(); !ready(list) {
				return fmt.Errorf("hot: %+v", list)
			}
			return nil
		})
		return list
	}
	list := until("the ad is spread", func(l []api.HotAd) bool { return len(l) == 1 }, 900, 100)
	if a := list[0]; a.Ad != "hot" || a.Shards != 4 || a.Pinned || a.Operator {
		t.Fatalf("%+v", a)
	}
	contains(t, s.must("status"), "hot: hot over 4 shards from ")
	spread := int(list[0].From.Sub(c.start) / time.Minute)
	for len(c.past) < spread+2 {
		c.minute(ctx, 900, 100)
	}
	s.kill()
	s.start()
	s.ready(ctx)
	for len(c.past) < spread+6 {
		c.minute(ctx, 900, 100)
	}
	until("the ad is merged back", func(l []api.HotAd) bool { return len(l) == 0 }, 50, 100)
	var pinned, unpinned []api.HotAd
	s.hot(&pinned, "pin", "ad1", "--spread", "2")
	if list := s.hotAds(); len(pinned) != 1 || !slices.Equal(list, pinned) || list[0].Ad != "ad1" || list[0].Shards != 2 || !list[0].Pinned {
		t.Errorf("pinned %+v, listed %+v", pinned, list)
	}
	for range 12 { // past the minute from which it has one shard again, and the other two
		c.minute(ctx, 200, 100)
	}
	s.hot(&unpinned, "unpin", "ad1")
	if list := s.hotAds(); len(unpinned) != 1 || !slices.Equal(list, unpinned) || list[0].Pinned {
		t.Errorf("unpinned %+v, listed %+v", unpinned, list)
	}
	until("the unpinned ad is merged back", func(l []api.HotAd) bool { return len(l) == 0 }, 100, 100)
	end := c.start.Add(time.Duration(len(c.past)) * time.Minute)
	var marks []stream.Message
	for p := range int32(4) {
		marks = append(marks, stream.Message{Partition: p, Headers: []click.Header{
			{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, end.UnixMilli(), 10)},
		}})
	}
	if err := c.log.Append(ctx, "clicks", marks); err != nil {
		t.Fatal(err)
	}
	s.completeUntil(ctx, end.UnixMilli())
	sum := s.settled(ctx, c.sent+4)
	if sum.Duplicate != c.repeats || sum.Counted != c.sent-c.repeats || sum.Late+sum.Conflict+sum.Stale != 0 {
		t.Errorf("%d clicks, %d repeats: %+v", c.sent, c.repeats, sum)
	}
	c.check(end)
	c.checkShares(ctx)
}

// check compares counts and the ranked list with what was produced.
func (c *crowd) check(end time.Time) {
	t := c.s.t
	t.Helper()
	found := map[string]map[int64]int64{}
	for _, r := range rows(t, c.s.export()) {
		at, err := time.Parse(time.RFC3339, r.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if found[r.AdID] == nil {
			found[r.AdID] = map[int64]int64{}
		}
		found[r.AdID][int64(at.Sub(c.start)/time.Minute)] = r.Count
	}
	for ad, minutes := range c.truth {
		for m, n := range minutes {
			if found[ad][m] != n {
				t.Errorf("%s in minute %d: %d, not %d", ad, m, found[ad][m], n)
			}
		}
	}
	if len(found) != len(c.truth) {
		t.Errorf("%d ads, not %d", len(found), len(c.truth))
	}
	var total int64
	for _, n := range c.truth["hot"] {
		total += n
	}
	contains(t, c.s.must("query", "top", "-n", "1", "-o", "csv", "--from", c.start.Format(time.RFC3339), "--to", end.Format(time.RFC3339)),
		fmt.Sprintf("hot,%d", total))
}

// checkShares: it was all four shards that counted the hot ad, and one before and after.
func (c *crowd) checkShares(ctx context.Context) {
	t := c.s.t
	t.Helper()
	shares, whole := map[int64]map[int32]bool{}, map[int64]map[int32]bool{}
	note := func(in map[int64]map[int32]bool, p *click.Partial, w *click.WindowPart, list []click.Row) {
		for _, r := range list {
			if string(r.Ad) == "hot" {
				if in[w.Start] == nil {
					in[w.Start] = map[int32]bool{}
				}
				in[w.Start][p.Shard] = true
			}
		}
	}
	topic := "clickagg.partials"
	for partition := range int32(2) {
		_, end, err := c.log.Bounds(ctx, topic, partition)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.log.Open(ctx, topic, partition, stream.At(0))
		if err != nil {
			t.Fatal(err)
		}
		for next := int64(0); next < end; {
			b, err := r.Read(ctx, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			next = b.Next
			for i := range b.Records {
				var p click.Partial
				if err := p.Parse(b.Records[i].Value); err != nil {
					t.Fatal(err)
				}
				for j := range p.Windows {
					note(shares, &p, &p.Windows[j], p.Windows[j].Shares)
					note(whole, &p, &p.Windows[j], p.Windows[j].Rows)
				}
			}
		}
		_ = r.Close()
	}
	t.Logf("%d minutes spread, %d not, %d repeats", len(shares), len(whole), c.repeats)
	if len(shares) < 5 || len(whole) < 5 || len(shares)+len(whole) != len(c.past) {
		t.Errorf("%d minutes spread, %d not, of %d", len(shares), len(whole), len(c.past))
	}
	for start, by := range shares {
		if len(by) != 4 || whole[start] != nil {
			t.Errorf("minute %d: spread over %d shards, and whole in %d", start, len(by), len(whole[start]))
		}
	}
	for start, by := range whole {
		if len(by) != 1 {
			t.Errorf("minute %d: whole in %d shards", start, len(by))
		}
	}
}
