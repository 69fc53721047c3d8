package rank

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// TestFirst compares with sorting everything, with many ties and rows without a click.
func TestFirst(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(1, seed))
		most, all := 1+rng.IntN(8), []click.Row(nil)
		f := NewFirst(most)
		for range rng.IntN(30) {
			row := click.Row{Ad: fmt.Append(nil, rng.IntN(1000)), Count: rng.Int64N(5) - 1}
			takes, before := f.Takes(row), slices.Clone(f.rows)
			f.Add(row)
			if kept := !slices.EqualFunc(before, f.rows, func(a, b click.Row) bool { return Order(a, b) == 0 }); takes != kept && !has(before, row) {
				t.Fatalf("seed %d: %v: takes %v, kept %v", seed, row, takes, kept)
			}
			if row.Count > 0 {
				all = append(all, row)
			}
		}
		slices.SortFunc(all, Order)
		want := all[:min(most, len(all))]
		if end, full := f.End(); full != (len(all) >= most) || full && Order(end, want[most-1]) != 0 {
			t.Fatalf("seed %d: the end is %v, %v", seed, end, full)
		}
		if got := f.Sorted(); !slices.EqualFunc(got, want, func(a, b click.Row) bool { return Order(a, b) == 0 }) {
			t.Fatalf("seed %d: %v, want %v", seed, got, want)
		}
	}
}

func has(rows []click.Row, row click.Row) bool {
	return slices.ContainsFunc(rows, func(r click.Row) bool { return Order(r, row) == 0 })
}
