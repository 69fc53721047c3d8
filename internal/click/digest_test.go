package click

import (
	"math/rand/v2"
	"testing"
)

// Sums of parts, in any order and any grouping, are the sum of the whole.
func TestSumHasNoOrder(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 2))
	for range 200 {
		clicks := make([]Sum, rng.IntN(20))
		var whole Sum
		for i := range clicks {
			clicks[i] = Sum{1, ID{rng.Uint64(), rng.Uint64()}.Digest()}
			whole.Add(clicks[i])
		}
		rng.Shuffle(len(clicks), func(i, j int) { clicks[i], clicks[j] = clicks[j], clicks[i] })
		parts := make([]Sum, 1+rng.IntN(4))
		for _, c := range clicks {
			parts[rng.IntN(len(parts))].Add(c)
		}
		var again Sum
		for _, p := range parts {
			again.Add(p)
		}
		if again != whole || !whole.Known() || whole.Count != int64(len(clicks)) {
			t.Fatalf("%+v in parts, %+v as a whole, of %d", again, whole, len(clicks))
		}
	}
}

func TestUnknownStaysSo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ a, b, want Sum }{
		"nothing and nothing": {},
		"nothing and some":    {Sum{}, Sum{2, 7}, Sum{2, 7}},
		"some and nothing":    {Sum{2, 7}, Sum{}, Sum{2, 7}},
		"some and some":       {Sum{2, 7}, Sum{1, 1<<64 - 1}, Sum{3, 6}},
		"unknown and some":    {Sum{2, 0}, Sum{1, 7}, Sum{3, 0}},
		"some and unknown":    {Sum{2, 7}, Sum{1, 0}, Sum{3, 0}},
	} {
		if got := c.a; true {
			if got.Add(c.b); got != c.want {
				t.Errorf("%s: %+v, want %+v", name, got, c.want)
			}
		}
	}
}

// Digests of clicks that differ in anything differ, though identities are near each other.
func TestDigestTellsClicksApart(t *testing.T) {
	t.Parallel()
	seen := map[uint64]ID{}
	for hi := range uint64(300) {
		for lo := range uint64(300) {
			for _, id := range []ID{{hi, lo}, {hi << 40, lo}, {hi, ^lo}} {
				d := id.Digest()
				if other, twice := seen[d]; twice && other != id {
					t.Fatalf("%x and %x have the digest %x", other, id, d)
				}
				seen[d] = id
			}
		}
	}
	// Case: stored digests were made by an earlier release.
	if d := (ID{1, 2}).Digest(); d != 0xede26bbdec1829b5 {
		t.Errorf("the digest of one identity became %#x", d)
	}
}

func TestOneShardKnowsTheSameClicks(t *testing.T) {
	t.Parallel()
	r := NewRouter(7, 4)
	for _, ad := range []string{"", "a", "b"} {
		_, want := r.Route([]byte(ad), []byte("1"))
		if shard, id := r.OneShard().Route([]byte(ad), []byte("1")); shard != 0 || id != want {
			t.Errorf("%q: shard %d, %x, want %x", ad, shard, id, want)
		}
	}
}
