package cassandra_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/cassandra"
)

// fresh makes a store in the cluster that CLICKAGG_BENCH_CASSANDRA names, host:port
// of a node in data centre datacenter1.
func fresh(b *testing.B) *cassandra.Store {
	b.Helper()
	addr := os.Getenv("CLICKAGG_BENCH_CASSANDRA")
	if addr == "" {
		b.Skip("needs CLICKAGG_BENCH_CASSANDRA=host:port of a Cassandra node")
	}
	o := cassandra.Options{
		Hosts: []string{addr}, Keyspace: fmt.Sprintf("bench_%d", time.Now().UnixNano()), Replication: []string{"datacenter1:1"},
		CountsTTL: 24 * time.Hour, RankingsTTL: 24 * time.Hour, LineageTTL: 24 * time.Hour,
	}
	if err := cassandra.Apply(b.Context(), o, func(string) {}); err != nil {
		b.Fatal(err)
	}
	s, err := cassandra.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func row(ad int, start, version int64) click.Result {
	return click.Result{
		Ad: fmt.Appendf(nil, "ad-%06d", ad), Start: start, Size: 60_000, Filter: click.FilterAll,
		Count: version, Revision: 1, State: click.Provisional, Version: version,
	}
}

// BenchmarkApply stores batches of 10,000 of 100,000 ads in one minute, each
// newer than the one before, as a writer does while the minute is open.
func BenchmarkApply(b *testing.B) {
	s := fresh(b)
	rng := rand.New(rand.NewPCG(1, 1))
	batch := storage.Batch{Results: make([]click.Result, 10_000)}
	for version := int64(1); b.Loop(); version++ {
		for i := range batch.Results {
			batch.Results[i] = row(rng.IntN(100_000), version/60*60_000, version)
		}
		if err := s.Apply(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkRead fills an hour of 1000 ads, then asks for the hour of one ad, and
// scans all.
func BenchmarkRead(b *testing.B) {
	s := fresh(b)
	for minute := range int64(60) {
		batch := storage.Batch{}
		for ad := range 1000 {
			batch.Results = append(batch.Results, row(ad, minute*60_000, 1))
		}
		if err := s.Apply(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("count", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			start := time.Now()
			cells, err := s.Count(b.Context(), click.FilterAll, fmt.Appendf(nil, "ad-%06d", rand.IntN(1000)), 0, 60*60_000)
			if err != nil || len(cells) != 60 {
				b.Fatal(len(cells), err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	})
	b.Run("scan", func(b *testing.B) {
		rows := 0
		for b.Loop() {
			err := s.Scan(b.Context(), click.FilterAll, 0, 60*60_000, func(*storage.Cell) error { rows++; return nil })
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkCopies fills some minutes of 20,000 ads on each of five days, and reads what is kept by ad of
// the minutes of one day, and for comparison what is kept by window.
func BenchmarkCopies(b *testing.B) {
	const ads, minutes, days, dayMS = 20_000, 10, 5, 86_400_000
	s := fresh(b)
	for at := range int64(days * minutes) {
		batch := storage.Batch{}
		for ad := range ads {
			batch.Results = append(batch.Results, row(ad, at/minutes*dayMS+at%minutes*60_000, 1))
		}
		if err := s.Apply(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	for name, read := range map[string]func(f func(string, *storage.Cell) error) error{
		"by ad": func(f func(string, *storage.Cell) error) error {
			_, err := s.Copies(b.Context(), 2*dayMS, 3*dayMS, f)
			return err
		},
		"by window": func(f func(string, *storage.Cell) error) error {
			return s.Scan(b.Context(), click.FilterAll, 2*dayMS, 3*dayMS, func(c *storage.Cell) error { return f("", c) })
		},
	} {
		b.Run(name, func(b *testing.B) {
			rows := 0
			for b.Loop() {
				if err := read(func(string, *storage.Cell) error { rows++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			if rows != b.N*ads*minutes {
				b.Fatalf("%d rows of %d", rows, b.N*ads*minutes)
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
