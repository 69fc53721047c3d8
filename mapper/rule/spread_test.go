package rule

import (
	"fmt"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// A click of a minute that is not open changes nothing until it is.
func TestUnopened(t *testing.T) {
	t.Parallel()
	p := newPartition()
	p.Open(stamp+1, nil)
	if v := p.Add(clickAt(0, stamp, stamp)); v.Kind != Routed {
		t.Fatal(v)
	}
	before := p.s
	if v := p.Add(clickAt(5, stamp+1, stamp)); v.Kind != Unopened || p.Wants() != stamp+1 || p.s != before || p.records != 1 {
		t.Fatalf("%v, wants %d, state %+v, before %+v", v, p.Wants(), p.s, before)
	}
	if v := p.Add(clickAt(5, stamp+60_001, stamp)); v.Kind != Rejected || v.Reason != click.Ahead {
		t.Fatalf("too far ahead: %v", v) // a forged time opens nothing
	}
	if v := p.Add(clickAt(6, stamp+60_000, stamp)); v.Kind != Unopened {
		t.Fatal(v)
	}
	p.Open(stamp+60_001, nil)
	if v := p.Add(clickAt(6, stamp+60_000, stamp)); v.Kind != Routed || p.s.Next != 7 || p.s.Account.Routed != 2 {
		t.Fatalf("%v, state %+v", v, p.s)
	}
}

// In the minutes of a span an ad's clicks go where their ids say, and each section that
// has some names it; else they go to the ad's home.
func TestSpreadRouting(t *testing.T) {
	t.Parallel()
	p := newPartition()
	const from, until = stamp - stamp%60_000, stamp - stamp%60_000 + 60_000
	p.Open(stamp+3_600_000, click.Spans{"hot": {{From: from, Until: until, Shards: 3}}})
	router := p.cfg.Router
	home := router.Home([]byte("hot"))
	want := map[int32][]int64{}
	for i := range int64(60) {
		at := from - 2_000 + i*1_200 // before, in and after the span
		ad := "hot"
		if i%5 == 0 {
			ad = "other"
		}
		r := click.Record{Offset: i, Append: stamp + 60_000, Value: fmt.Appendf(nil, `{"event_id":"%d","ad_id":%q,"ts":%d}`, i, ad, at)}
		if v := p.Add(&r); v.Kind != Routed {
			t.Fatalf("%d: %v", i, v)
		}
		shard, id := router.Route([]byte(ad), fmt.Append(nil, i))
		if ad == "hot" && at >= from && at < until {
			shard = router.Spread(home, id, 3)
		}
		want[shard] = append(want[shard], i)
	}
	named := 0
	for shard, s := range p.Seal(60, stamp, click.None, 1) {
		s, err := click.ParseSection(s.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		spread := false
		for r := (click.Routed{}); s.Clicks.Next(&r); {
			got = append(got, r.Offset)
			spread = spread || string(r.Ad) == "hot" && r.Time >= from && r.Time < until
		}
		if !slices.Equal(got, want[int32(shard)]) {
			t.Errorf("shard %d has %v, not %v", shard, got, want[int32(shard)])
		}
		if spread != slices.Equal(s.Shares, []click.Share{{Ad: "hot", From: from, Until: until}}) || !spread && len(s.Shares) > 0 {
			t.Errorf("shard %d: shares %v, has some: %v", shard, s.Shares, spread)
		}
		named += len(s.Shares)
	}
	if named != 3 {
		t.Errorf("%d sections name the ad", named)
	}
	for _, s := range p.Seal(61, stamp, click.None, 1) {
		if len(s.Shares) != 0 {
			t.Error("an empty section names a spread ad")
		}
	}
}
