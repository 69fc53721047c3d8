package click

import (
	"fmt"
	"math"
	"testing"
)

// TestRouteIsStable: ads and ids live in shards' states and logs. Were one of
// these values another, every click repeated across the change would count twice.
func TestRouteIsStable(t *testing.T) {
	t.Parallel()
	if got := Check(nil); got != 0x38d394c2 { // low half of the published XXH3 of nothing
		t.Errorf("the check of nothing is %#x", got)
	}
	for _, c := range []struct {
		secret uint64
		shards int32
		ad, id string
		shard  int32
		want   ID
	}{
		{0x0, 4, "a", "1", 3, ID{0x9b134a972cb9c515, 0xdc92144dc2a80100}},
		{0x0, 4, "a", "2", 3, ID{0x4be955e612875846, 0x296322d510a0e7e3}},
		{0x0, 4, "b", "1", 1, ID{0x195e614ef19c3b5b, 0x380c5245d8381302}},
		{0x1, 4, "a", "1", 3, ID{0xfa862dceca4d9cc6, 0xf33fd1f9ae7ef8a9}},
		{0x0, 7, "", "", 1, ID{0x7a3edd697cf3f953, 0x5310e30cce3262d6}},
		{0x9e3779b97f4a7c15, 64, "ad-000017", "0f8fad5b-d9cb-469f-a165-70867728950e", 53, ID{0xcdc5a216dd44dc98, 0xf0e0823680d2e0f0}},
		{0x9e3779b97f4a7c15, 64, "an ad whose name is longer than sixteen bytes, and than all the short cases of the hash", "e", 53, ID{0x11ca2eda7ed7ae62, 0xbbe5634800d1ab2a}},
	} {
		shard, id := NewRouter(c.secret, c.shards).Route([]byte(c.ad), []byte(c.id))
		if shard != c.shard || id != c.want {
			t.Errorf("{%#x, %d, %q, %q, %d, ID{%#x, %#x}},", c.secret, c.shards, c.ad, c.id, shard, id.Hi, id.Lo)
		}
	}
}

func TestRouteIsEven(t *testing.T) {
	t.Parallel()
	const ads = 50_000
	for _, secret := range []uint64{0, 1, 0x9e3779b97f4a7c15} {
		for _, shards := range []int32{1, 2, 3, 4, 7, 16, 60, 256} {
			r := NewRouter(secret, shards)
			counts := make([]float64, shards)
			for i := range ads {
				shard, _ := r.Route(fmt.Appendf(nil, "ad-%d", i), nil)
				counts[shard]++
			}
			if chi, free := spread(counts), float64(shards-1); chi > free+5*math.Sqrt(2*free)+1e-9 {
				t.Errorf("secret %#x, %d shards: chi-square %.1f with %.0f degrees of freedom", secret, shards, chi, free)
			}
		}
	}
}

// spread is the chi-square of counts that should be equal.
func spread(counts []float64) (chi float64) {
	total := 0.0
	for _, n := range counts {
		total += n
	}
	want := total / float64(len(counts))
	for _, n := range counts {
		chi += (n - want) * (n - want) / want
	}
	return chi
}

// TestSecretHidesTheShard: ads gathered to fall on one shard under one secret
// are spread evenly under another.
func TestSecretHidesTheShard(t *testing.T) {
	t.Parallel()
	guess, real := NewRouter(1, 8), NewRouter(2, 8)
	counts := make([]float64, 8)
	for i := range 100_000 {
		ad := fmt.Appendf(nil, "ad-%d", i)
		if shard, _ := guess.Route(ad, nil); shard == 0 {
			shard, _ := real.Route(ad, nil)
			counts[shard]++
		}
	}
	if chi := spread(counts); chi > 7+5*math.Sqrt(14) {
		t.Errorf("chi-square %.1f: %v", chi, counts)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	r := NewRouter(7, 4)
	seen := map[ID]bool{}
	for ad := range 100 {
		for id := range 100 {
			_, got := r.Route(fmt.Append(nil, ad), fmt.Append(nil, id))
			if seen[got] {
				t.Fatalf("ad %d, id %d: not the first with %x", ad, id, got)
			}
			seen[got] = true
		}
	}
	shard, _ := r.Route([]byte("a"), []byte("1"))
	if other, _ := r.Route([]byte("a"), []byte("2")); other != shard {
		t.Error("an ad lives in two shards")
	}
	_, a := r.Route([]byte("a"), []byte("1"))
	if _, b := NewRouter(8, 4).Route([]byte("a"), []byte("1")); a == b {
		t.Error("the identity does not depend on the secret")
	}
	var zero Router
	if shard, _ := zero.Route([]byte("a"), nil); shard != 0 {
		t.Errorf("the zero router knows shard %d", shard)
	}
}

func TestRouteAllocatesNothing(t *testing.T) {
	r := NewRouter(7, 4)
	ad, event := []byte("a"), []byte("1")
	if n := testing.AllocsPerRun(100, func() { r.Route(ad, event); Check(event) }); n != 0 {
		t.Errorf("%v allocations per click", n)
	}
}
