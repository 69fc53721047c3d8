package sim

import "math/rand/v2"

// Chooser picks one of n answers, 0 ≤ answer < n, where 0 is the kindest. What
// names the decision.
type Chooser func(n int, what string) int

// Seeded chooses by a seed.
func Seeded(seed uint64) Chooser {
	r := rand.New(rand.NewPCG(seed, 0x636c69636b616767))
	return func(n int, _ string) int { return r.IntN(n) }
}

// Kind always chooses the kindest answer.
func Kind(int, string) int { return 0 }

// oneIn is true about once in n times.
func (c Chooser) oneIn(n int, what string) bool { return n > 0 && c(n, what) == n-1 }
