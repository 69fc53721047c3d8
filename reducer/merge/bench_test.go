package merge

import (
	"fmt"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// emission is what one of several shards says at one tick: rows ads with news
// and ranked lists of 1,000, in one of the windows that are open.
func emission(shard, shards int32, rows int) *click.Partial {
	w := click.WindowPart{Filter: click.FilterAll, Size: minute, State: click.Provisional, Revision: 1, Ads: 100_000}
	for i := range rows {
		row := click.Row{Ad: fmt.Appendf(nil, "ad-%02d-%08d", shard, i), Count: int64(2_000_000 - i)}
		w.Rows = append(w.Rows, row)
		w.Clicks += row.Count
	}
	w.Top = slices.Clone(w.Rows[:min(1000, rows)])
	return &click.Partial{
		Shard: shard, Shards: shards, Top: 1000, Tick: 1000, Last: true, Watermark: 0, Closed: click.None, Windows: []click.WindowPart{w},
	}
}

// speak makes p the shard's next words a tick later, with another count at the top.
func speak(p *click.Partial) {
	p.Prev, p.Position = p.Position, p.Position+1
	p.At = p.Position * 1000
	p.Windows[0].Clicks++
	p.Windows[0].Top[0].Count++
}

// BenchmarkFold folds ticks of 8 shards with 10,000 rows each; every 8th
// partial makes a ranking of 1,000.
func BenchmarkFold(b *testing.B) {
	const shards, rows = 8, 10_000
	var said [shards]*click.Partial
	for i := range said {
		said[i] = emission(int32(i), shards, rows)
	}
	r := New(only)
	b.ReportAllocs()
	rankings := 0
	for i := int64(0); b.Loop(); i++ {
		p := said[i%shards]
		speak(p)
		if err := r.Fold(i, p); err != nil {
			b.Fatal(err)
		}
		rankings += len(r.Out().Rankings)
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds()/1e6, "Mrows/s")
	b.ReportMetric(float64(rankings)/float64(b.N), "rankings/op")
}

// BenchmarkRanking merges the lists of 64 shards.
func BenchmarkRanking(b *testing.B) {
	const shards = 64
	r := New(only)
	for i := range int32(shards) {
		p := emission(i, shards, 1000)
		p.Position = 1
		if err := r.Fold(int64(i), p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		r.begin()
		r.send(r.windows[0])
	}
}

// TestFoldAllocatesNothing: once its buffers have their size, a reducer folds
// rows and ranks lists without allocating.
func TestFoldAllocatesNothing(t *testing.T) {
	p := emission(0, 1, 2000)
	r := New(only)
	offset := int64(0)
	fold := func() {
		speak(p)
		if err := r.Fold(offset, p); err != nil {
			t.Fatal(err)
		}
		offset++
		if out := r.Out(); len(out.Results) != 2000 || len(out.Rankings) != 1 || len(out.Rankings[0].Top) != 1000 {
			t.Fatalf("%d results, %d rankings", len(out.Results), len(out.Rankings))
		}
	}
	fold()
	if n := testing.AllocsPerRun(100, fold); n != 0 {
		t.Errorf("%v allocations per partial", n)
	}
}
