package archive

import (
	"math"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// TestArrange: rows are put in the order of their offsets, however these lie.
func TestArrange(t *testing.T) {
	t.Parallel()
	var s sheet // its memory is used again
	for name, offsets := range map[string][]int64{
		"none":        {},
		"one":         {7},
		"in a row":    {5, 3, 4, 6},
		"few holes":   {15, 3, 9, 4},
		"many holes":  {1 << 40, 3, 900, 4, -5},
		"twice":       {3, 4, 3},
		"twice, far":  {3, 4e9, 3},
		"all numbers": {math.MaxInt64, 0, math.MinInt64},
	} {
		s.offsets = offsets
		s.records, s.rank = make([]click.Record, len(offsets)), make([]int32, len(offsets))
		s.arrange()
		var got []int64
		for i := range s.records {
			got = append(got, s.records[i].Offset)
		}
		if want := slices.Sorted(slices.Values(offsets)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		for row, rank := range s.rank {
			if s.records[rank].Offset != offsets[row] {
				t.Errorf("%s: row %d is at %d", name, row, rank)
			}
		}
		if places := slices.Sorted(slices.Values(s.rank)); len(slices.Compact(places)) != len(offsets) {
			t.Errorf("%s: places %v", name, s.rank)
		}
	}
}
