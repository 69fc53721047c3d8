package embedded_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
)

// BenchmarkApply stores batches of 10,000 of 100,000 ads in one minute, each
// newer than the one before, as a writer does while the minute is open.
func BenchmarkApply(b *testing.B) {
	s := open(b, b.TempDir(), embedded.Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	batch := storage.Batch{Results: make([]click.Result, 10_000)}
	version := int64(0)
	for b.Loop() {
		version++
		for i := range batch.Results {
			batch.Results[i] = row(fmt.Sprintf("ad-%06d", rng.IntN(100_000)), version/60*60_000, version, version)
		}
		if err := s.Apply(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkCount asks for the last hour of one of 10,000 ads with 600,000 cells
// in the store and reports the slowest of a hundred.
func BenchmarkCount(b *testing.B) {
	s := open(b, b.TempDir(), embedded.Options{})
	for minute := range int64(60) {
		batch := storage.Batch{}
		for ad := range 10_000 {
			batch.Results = append(batch.Results, row(fmt.Sprintf("ad-%06d", ad), minute*60_000, 1, 1))
		}
		if err := s.Apply(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		cells, err := s.Count(b.Context(), click.FilterAll, fmt.Appendf(nil, "ad-%06d", rng.IntN(10_000)), 0, 60*60_000)
		if err != nil || len(cells) != 60 {
			b.Fatal(len(cells), err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkAds looks for a rare beginning in an hour of 100,000 ads, of which
// 10,000 have a click in each minute.
func BenchmarkAds(b *testing.B) {
	s := open(b, b.TempDir(), embedded.Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	for minute := range int64(60) {
		batch := storage.Batch{}
		for range 10_000 {
			batch.Results = append(batch.Results, row(fmt.Sprintf("ad-%05d", rng.IntN(100_000)), minute*60_000, 1, 1))
		}
		if err := s.Apply(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if ads, err := s.Ads(b.Context(), click.FilterAll, fmt.Sprintf("ad-%03d", rng.IntN(1000)), 0, 60*60_000, 20); err != nil || len(ads) == 0 {
			b.Fatal(ads, err)
		}
	}
}
