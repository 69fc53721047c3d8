package answer

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/storage"
)

// countsAtOnce is how many ads of one question are counted at a time.
const countsAtOnce = 8

// Counts adds up the clicks of each of some ads in [from, to), Unix ms, in the
// order in which they were asked for. All have the same frame.
func (r *Reader) Counts(ctx context.Context, filter string, ads []string, from, to int64) (Frame, []Count, error) {
	f, err := r.Frame(ctx, from, to)
	if err != nil {
		return Frame{}, nil, err
	}
	counts := make([]Count, len(ads))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(countsAtOnce)
	for i, ad := range ads {
		g.Go(func() (err error) {
			counts[i], err = r.count(ctx, filter, []byte(ad), f)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Frame{}, nil, err
	}
	return f, counts, nil
}

// Series is [Reader.Count], and the same clicks by steps of time. A step is an hour
// or a day as UTC has them, or as long as it says; the first and the last are cut
// to the range. Steps without a click are left out. Each must hold whole windows.
func (r *Reader) Series(ctx context.Context, filter string, ad []byte, from, to int64, step time.Duration) (Count, []Count, error) {
	f, err := r.Frame(ctx, from, to)
	if err != nil {
		return Count{}, nil, err
	}
	cells, err := r.store.Count(ctx, filter, ad, f.From, f.To)
	if err != nil {
		return Count{}, nil, fmt.Errorf("read counts: %w", err)
	}
	total := Count{Frame: f}
	total.Clicks, total.Revision = sum(cells)
	return total, split(f, cells, step.Milliseconds()), nil
}

// split cuts cells, which are in the order of time, into steps.
func split(f Frame, cells []storage.Cell, step int64) []Count {
	var steps []Count
	for len(cells) > 0 {
		begin := floor(cells[0].Start, step)
		n := 1
		for n < len(cells) && cells[n].Start < begin+step {
			n++
		}
		c := Count{Frame: Frame{From: max(begin, f.From), To: min(begin+step, f.To), CompleteUntil: f.CompleteUntil}}
		c.Clicks, c.Revision = sum(cells[:n])
		steps = append(steps, c)
		cells = cells[n:]
	}
	return steps
}
