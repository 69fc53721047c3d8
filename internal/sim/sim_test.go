package sim

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seeds = flag.Int("seeds", 300, "how many histories to play")
	first = flag.Uint64("seed", 1, "the first seed")
)

// TestPromises plays histories and finds no broken promise. One seed is played
// again with: go test ./internal/sim -run Promises -seeds 1 -seed N.
func TestPromises(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sum Result
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(*seeds) && !t.Failed(); i = next.Add(1) - 1 {
				seed := *first + uint64(i)
				r, err := Run(Seeded(seed))
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				mu.Lock()
				sum.Add(r)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d histories: %+v", *seeds, sum)
	if *seeds >= 100 && min(int64(sum.Kills), int64(sum.Zombies), sum.Repeats, sum.Late, sum.Rejected, sum.Corrected, sum.Shares, int64(sum.Sets), sum.Filtered, int64(sum.Corrections), int64(sum.Resumed), int64(sum.Finals), int64(sum.Slices)) == 0 {
		t.Error("the weather is too kind: something never happened")
	}
}

// TestKind plays the history in which nothing goes wrong.
func TestKind(t *testing.T) {
	t.Parallel()
	if _, err := Run(Kind); err != nil {
		t.Fatal(err)
	}
}

// TestSameSeedSameHistory: a failing seed is worth something only if it fails again.
func TestSameSeedSameHistory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		a, _ := Run(Seeded(seed))
		b, _ := Run(Seeded(seed))
		if a != b {
			t.Fatalf("seed %d: %+v, then %+v", seed, a, b)
		}
	}
}

// TestMutants plants each fault and demands that a history finds it.
func TestMutants(t *testing.T) {
	t.Parallel()
	const budget = 3000
	for m := sound + 1; m < mutants; m++ {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(budget) {
				if _, err := run(Seeded(seed), m); err != nil {
					t.Logf("found by seed %d: %v", seed, err)
					return
				}
			}
			t.Fatalf("%d histories did not find it", budget)
		})
	}
}
