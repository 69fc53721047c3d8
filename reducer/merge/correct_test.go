package merge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// TestAnyCorrections plays random steps of corrections, with restarts between them, and holds what comes
// out against the rules read word by word.
func TestAnyCorrections(t *testing.T) {
	t.Parallel()
	const minute = 60_000
	// Mostly changes, and mostly of the newest hold.
	steps := []click.Step{click.Begin, click.Change, click.Change, click.Change, click.Change, click.End}
	numbers := []int64{-1, 0, 0, 0, 0, 1}
	taken := 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cfg := Config{Reducer: int32(seed % 2), Reducers: 2}
		r := New(cfg)
		closed := int64(3 * minute)
		p := click.Partial{Shards: 1, Position: 1, Last: true, Watermark: 5 * minute, Closed: closed}
		if err := r.Fold(0, &p); err != nil {
			t.Fatal(err)
		}
		r.Out()
		var hold click.Hold
		for offset := int64(1); offset < 200; offset++ {
			from := rng.Int64N(4) * minute
			c := click.Correction{
				Step: steps[rng.IntN(len(steps))], Number: max(1, hold.Number+numbers[rng.IntN(len(numbers))]), From: from, To: from + (1+rng.Int64N(2))*minute,
				Filter: "000", Revision: offset, Rows: []click.Row{{Ad: []byte("a"), Count: rng.Int64N(3)}}, Last: rng.IntN(2) == 0,
			}
			if c.Step == click.Change {
				c.To = from + minute
			}
			var holds []click.Hold
			rows, lists := 0, 0
			switch {
			case c.Step == click.Begin && c.Number > hold.Number && c.To <= closed:
				hold = click.Hold{Number: c.Number, From: c.From, To: c.To}
				holds = append(holds, hold)
			case c.Step == click.End && c.Number == hold.Number && !hold.Done:
				hold.Done = true
				holds = append(holds, hold)
			case c.Step == click.Change && c.Number == hold.Number && !hold.Done && c.From >= hold.From && c.To <= hold.To && int32(from/minute%2) == cfg.Reducer:
				rows = 1
				if taken++; c.Last {
					lists = 1
				}
			}
			r.Correct(offset, &c)
			out := r.Out()
			if !slices.Equal(out.Holds, holds) || len(out.Results) != rows || len(out.Rankings) != lists || len(out.Lineages) != lists {
				t.Fatalf("seed %d: %+v after %+v came to %+v", seed, c, hold, out)
			}
			if got := fmt.Sprintf("%+v", click.Result{Ad: []byte("a"), Start: from, Size: minute, Filter: "000", Count: c.Rows[0].Count, Revision: offset, State: click.Corrected, Version: offset + 1}); rows == 1 && fmt.Sprintf("%+v", out.Results[0]) != got {
				t.Fatalf("seed %d: %+v, want %s", seed, out.Results[0], got)
			}
			if rng.IntN(5) == 0 {
				again, err := Restore(cfg, r.AppendSnapshot(nil))
				if err != nil {
					t.Fatal(err)
				}
				r = again
			}
		}
	}
	if taken < 500 {
		t.Errorf("%d changes were taken only", taken)
	}
}
