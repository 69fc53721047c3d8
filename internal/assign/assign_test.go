package assign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func topic(name string, n int) (all []Partition) {
	for i := range n {
		all = append(all, Partition{name, int32(i)})
	}
	return all
}

func TestShare(t *testing.T) {
	t.Parallel()
	four := topic("t", 4)
	for _, c := range []struct {
		name       string
		claims     []Claim
		partitions []Partition
		want       string
	}{
		{"alone", []Claim{{Member: "a"}}, four, "[[t/0 t/1 t/2 t/3]]"},
		{"two begin", []Claim{{Member: "b"}, {Member: "a"}}, four, "[[t/1 t/3] [t/0 t/2]]"},
		{
			"a third joins: one moves", []Claim{{Member: "a", Owned: four[:2]}, {Member: "b", Owned: four[2:]}, {Member: "c"}},
			four, "[[t/0 t/1] [t/2] [t/3]]",
		},
		{"one leaves", []Claim{{Member: "a", Owned: four[:1]}, {Member: "c", Owned: four[3:]}}, four, "[[t/0 t/1] [t/2 t/3]]"},
		{"one more than partitions", []Claim{{Member: "a"}, {Member: "b", Owned: four[:1]}}, four[:1], "[[] [t/0]]"},
		{
			"the newer claim counts",
			[]Claim{{Member: "a", Generation: 4, Owned: four[:2]}, {Member: "b", Generation: 5, Owned: four[1:3]}},
			four, "[[t/0 t/3] [t/1 t/2]]",
		},
		{
			"claims of what is not there are void",
			[]Claim{{Member: "a", Owned: []Partition{{"t", 9}, {"u", 0}, {"t", 3}}}, {Member: "b", Owned: four[:2]}},
			four, "[[t/2 t/3] [t/0 t/1]]",
		},
		{
			"topics are spread",
			[]Claim{{Member: "a"}, {Member: "b"}}, append(topic("t", 2), topic("u", 2)...), "[[t/0 u/0] [t/1 u/1]]",
		},
		{
			"the topic of which most is held is given up",
			[]Claim{{Member: "a", Owned: append(topic("t", 3), topic("u", 1)...)}, {Member: "b"}},
			append(topic("t", 3), topic("u", 1)...), "[[t/0 u/0] [t/1 t/2]]",
		},
		{
			"and of all topics alike",
			[]Claim{{Member: "a", Owned: append(topic("t", 3), topic("u", 3)...)}, {Member: "b"}},
			append(topic("t", 3), topic("u", 3)...), "[[t/0 t/1 u/0] [t/2 u/1 u/2]]",
		},
		{
			"who has few of a topic is given more",
			[]Claim{{Member: "a", Owned: topic("t", 2)}, {Member: "b", Owned: topic("u", 2)}},
			append(topic("t", 4), topic("u", 4)...), "[[t/0 t/1 u/2 u/3] [t/2 t/3 u/0 u/1]]",
		},
		{"nobody", nil, four, "[]"},
		{"nothing", []Claim{{Member: "a", Owned: four}}, nil, "[[]]"},
	} {
		if got := fmt.Sprint(show(Share(c.claims, c.partitions))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func show(shares [][]Partition) [][]string {
	texts := make([][]string, len(shares))
	for i, share := range shares {
		for _, p := range share {
			texts[i] = append(texts[i], fmt.Sprintf("%s/%d", p.Topic, p.Number))
		}
	}
	return texts
}

// anyGroup is a group in any state, also one that cannot be.
func anyGroup(rng *rand.Rand, members, partitions int) (claims []Claim, all []Partition) {
	for i := range rng.IntN(partitions + 1) {
		all = append(all, Partition{string(rune('t' + rng.IntN(2))), int32(i)})
	}
	for i := range 1 + rng.IntN(members) {
		c := Claim{Member: string(rune('a' + i)), Generation: int32(rng.IntN(3))}
		for _, p := range all {
			if rng.IntN(3) == 0 {
				c.Owned = append(c.Owned, p)
			}
		}
		if rng.IntN(4) == 0 {
			c.Owned = append(c.Owned, Partition{"gone", int32(rng.IntN(3))})
		}
		claims = append(claims, c)
	}
	return claims, all
}

// believed says slowly whose a partition was: of the newest claim, and among
// equals of the first name; -1 if nobody's.
func believed(claims []Claim, p Partition) int {
	best := -1
	for i, c := range claims {
		if !slices.Contains(c.Owned, p) {
			continue
		}
		if best < 0 || c.Generation > claims[best].Generation ||
			c.Generation == claims[best].Generation && c.Member < claims[best].Member {
			best = i
		}
	}
	return best
}

// kept is how many partitions stay with whom they were.
func kept(claims []Claim, shares [][]Partition) (n int) {
	for i, share := range shares {
		for _, p := range share {
			if believed(claims, p) == i {
				n++
			}
		}
	}
	return n
}

func checkWhole(t *testing.T, shares [][]Partition, all []Partition) {
	t.Helper()
	var given []Partition
	for _, share := range shares {
		if !slices.IsSortedFunc(share, Partition.Compare) {
			t.Fatalf("not sorted: %v", shares)
		}
		given = append(given, share...)
	}
	slices.SortFunc(given, Partition.Compare)
	want := slices.Clone(all)
	slices.SortFunc(want, Partition.Compare)
	if !slices.Equal(given, want) {
		t.Fatalf("given %v of %v", given, want)
	}
}

func checkBalance(t *testing.T, shares [][]Partition) {
	t.Helper()
	least, most := len(shares[0]), 0
	for _, share := range shares {
		least, most = min(least, len(share)), max(most, len(share))
	}
	if most-least > 1 {
		t.Fatalf("between %d and %d partitions: %v", least, most, shares)
	}
}

// TestLaws holds Share to its promises on random groups, and small ones to the
// best of all ways to share.
func TestLaws(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		claims, all := anyGroup(rng, 3, 6)
		shares := Share(claims, all)
		checkWhole(t, shares, all)
		checkBalance(t, shares)
		if got, best := kept(claims, shares), mostKept(claims, all); got != best {
			t.Fatalf("%d stay, %d could: %+v share %v as %v", got, best, claims, all, shares)
		}
	}
	for range 300 {
		claims, all := anyGroup(rng, 12, 80)
		shares := Share(claims, all)
		checkWhole(t, shares, all)
		checkBalance(t, shares)
		checkOrder(t, rng, claims, all, shares)
		checkRest(t, claims, all, shares)
	}
}

// mostKept tries all balanced ways to share.
func mostKept(claims []Claim, all []Partition) (best int) {
	was := make([]int, len(all))
	for i, p := range all {
		was[i] = believed(claims, p)
	}
	held := make([]int, len(claims))
	var try func(i, stay int)
	try = func(i, stay int) {
		if i == len(all) {
			if slices.Max(held)-slices.Min(held) <= 1 {
				best = max(best, stay)
			}
			return
		}
		for m := range claims {
			held[m]++
			if m == was[i] {
				try(i+1, stay+1)
			} else {
				try(i+1, stay)
			}
			held[m]--
		}
	}
	try(0, 0)
	return best
}

// checkOrder: nobody's place in a list matters.
func checkOrder(t *testing.T, rng *rand.Rand, claims []Claim, all []Partition, shares [][]Partition) {
	t.Helper()
	order := rng.Perm(len(claims))
	mixed := make([]Claim, len(claims))
	for i, j := range order {
		mixed[i] = claims[j]
		mixed[i].Owned = slices.Clone(claims[j].Owned)
		rng.Shuffle(len(mixed[i].Owned), func(a, b int) {
			mixed[i].Owned[a], mixed[i].Owned[b] = mixed[i].Owned[b], mixed[i].Owned[a]
		})
	}
	listed := append(slices.Clone(all), all...)
	rng.Shuffle(len(listed), func(a, b int) { listed[a], listed[b] = listed[b], listed[a] })
	for i, share := range Share(mixed, listed) {
		if !slices.Equal(share, shares[order[i]]) {
			t.Fatalf("%s has %v, in another order %v", mixed[i].Member, shares[order[i]], share)
		}
	}
}

// checkRest: who has been given its share keeps it when nothing changes.
func checkRest(t *testing.T, claims []Claim, all []Partition, shares [][]Partition) {
	t.Helper()
	next := slices.Clone(claims)
	for i := range next {
		next[i].Generation, next[i].Owned = 9, shares[i]
	}
	for i, share := range Share(next, all) {
		if !slices.Equal(share, shares[i]) {
			t.Fatalf("%s had %v, now %v", claims[i].Member, shares[i], share)
		}
	}
}

// TestTopicsSpread: from the start each member has its part of every topic.
func TestTopicsSpread(t *testing.T) {
	t.Parallel()
	all := slices.Concat(topic("a", 12), topic("b", 24), topic("c", 3))
	for _, share := range Share([]Claim{{Member: "x"}, {Member: "y"}, {Member: "z"}}, all) {
		of := map[string]int{}
		for _, p := range share {
			of[p.Topic]++
		}
		if of["a"] != 4 || of["b"] != 8 || of["c"] != 1 {
			t.Errorf("%v", of)
		}
	}
}
