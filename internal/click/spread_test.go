package click

import (
	"fmt"
	"testing"
)

func TestSpansFind(t *testing.T) {
	t.Parallel()
	spans := Spans{"a": {{From: 60, Until: 120, Shards: 2}, {From: 120, Until: 180, Shards: 3}, {From: 240, Until: None, Shards: 4}}}
	for at, want := range map[int64]int32{None: 0, 59: 0, 60: 2, 119: 2, 120: 3, 179: 3, 180: 0, 239: 0, 240: 4, 1 << 50: 4} {
		got := int32(0)
		if s := spans.Find([]byte("a"), at); s != nil {
			got = s.Shards
		}
		if got != want {
			t.Errorf("at %d over %d shards, not %d", at, got, want)
		}
		if spans.Find([]byte("b"), at) != nil {
			t.Errorf("another ad is spread at %d", at)
		}
	}
}

// A spread ad's clicks are dealt out evenly, by id alone, over its home and those after it.
func TestSpread(t *testing.T) {
	t.Parallel()
	const shards, over, ids = 5, 3, 30_000
	r := NewRouter(7, shards)
	for _, ad := range []string{"a", "b", "c", "d"} {
		clicks := map[int32]int{}
		for i := range ids {
			home, id := r.Route([]byte(ad), fmt.Append(nil, i))
			if home != r.Home([]byte(ad)) {
				t.Fatalf("%s is routed to %d, and its home is %d", ad, home, r.Home([]byte(ad)))
			}
			shard := r.Spread(home, id, over)
			if shard != r.Spread(home, id, over) || (shard-home+shards)%shards >= over {
				t.Fatalf("%s from %d to %d", ad, home, shard)
			}
			clicks[shard]++
		}
		for shard, n := range clicks {
			if len(clicks) != over || n < ids/over*9/10 || n > ids/over*11/10 {
				t.Errorf("%s: %d of %d clicks in shard %d of %d", ad, n, ids, shard, len(clicks))
			}
		}
	}
}
