package window

import (
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// BenchmarkFoldHot measures a shard that has its share of an ad with nine clicks in
// ten, beside one whose ads are as usual. Each shard of an installation has as
// many clicks in both, so the figures stand for the whole.
func BenchmarkFoldHot(b *testing.B) {
	for _, hot := range []bool{false, true} {
		name := "even"
		if hot {
			name = "hot"
		}
		b.Run(name, func(b *testing.B) {
			const perMin = 60_000
			t, s := newTraffic(perMin), New(production)
			t.hot = hot
			t.fill(b, s, perMin)
			t.run(b, s)
			if w := s.live(); hot && len(w[len(w)-1].shares) != 1 {
				b.Fatal("the hot ad is not spread")
			}
		})
	}
}

// ad draws an ad: as usual, or the hot one nine times in ten.
func (t *traffic) ad() []byte {
	if t.hot && t.rng.Intn(10) > 0 {
		return t.ads[0]
	}
	return t.ads[t.zipf.Uint64()]
}

// shares names the hot ad.
func (t *traffic) shares() []click.Share {
	if !t.hot {
		return nil
	}
	return []click.Share{{Ad: string(t.ads[0]), From: 0, Until: click.None}}
}
