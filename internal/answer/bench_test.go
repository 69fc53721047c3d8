package answer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

// BenchmarkTop is the top 10 of an hour from lists of 1,000, without a store's own time.
func BenchmarkTop(b *testing.B) {
	s := newFake()
	rng := rand.New(rand.NewPCG(1, 2))
	const ads, listed = 2000, 1000
	for w := range int64(60) {
		for ad := range ads {
			s.put(w*minute, fmt.Sprintf("ad%04d", ad), int64(100_000/(ad+1))+rng.Int64N(9)+1, 1)
		}
		s.rank(w*minute, listed, click.Final)
	}
	r := New(s, time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		s.asked = s.asked[:0]
		if _, err := r.Top(b.Context(), click.FilterAll, 10, 0, 60*minute); err != nil {
			b.Fatal(err)
		}
	}
}
