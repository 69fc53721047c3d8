package filter

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// TestVerdictsCombine: whatever was negated and joined, a verdict says of each value, and of those
// that nobody lists, what its parts do.
func TestVerdictsCombine(t *testing.T) {
	t.Parallel()
	values := []string{"a", "b", "c", "d", "e", "listed by nobody"}
	says := func(v *verdict, value string) bool {
		_, but := v.but[value]
		return v.others != but
	}
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() *verdict {
		v := &verdict{others: rng.IntN(2) == 0, but: map[string]struct{}{}}
		for _, value := range values[:5] {
			if rng.IntN(2) == 0 {
				v.but[value] = struct{}{}
			}
		}
		return v
	}
	for range 1000 {
		a, b := random(), random()
		was := [2]verdict{{a.others, maps.Clone(a.but)}, {b.others, maps.Clone(b.but)}}
		got := a.or(b)
		for _, value := range values {
			if want := says(&was[0], value) || says(&was[1], value); says(got, value) != want {
				t.Fatalf("%+v or %+v says %v of %s", was[0], was[1], !want, value)
			}
		}
		was[0] = verdict{got.others, maps.Clone(got.but)}
		for _, value := range values {
			if says(got, value) == says(got.not(), value) {
				t.Fatalf("not %+v says the same of %s", was[0], value)
			}
		}
	}
}
