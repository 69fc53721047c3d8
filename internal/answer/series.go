package answer

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/calendar"
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
	all := ctx
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
	if err := r.Confirm(all, &f); err != nil {
		return Frame{}, nil, err
	}
	for i := range counts {
		counts[i].Frame = f
	}
	return f, counts, nil
}

// Series is [Reader.Count], and the same clicks by steps of time, which follow each other and
// hold whole windows. The first and the last are cut to the range; those without a
// click are left out.
func (r *Reader) Series(ctx context.Context, filter string, ad []byte, from, to int64, by storage.Cut) (Count, []Count, error) {
	f, err := r.Frame(ctx, from, to)
	if err != nil {
		return Count{}, nil, err
	}
	cells, err := r.cut(ctx, filter, ad, f, by)
	if err != nil {
		return Count{}, nil, err
	}
	if err := r.Confirm(ctx, &f); err != nil {
		return Count{}, nil, err
	}
	return total(f, cells), split(f, cells, by.Step), nil
}

// split cuts cells, which are in the order of time, into steps.
func split(f Frame, cells []storage.Cell, step func(at int64) calendar.Span) []Count {
	var steps []Count
	for len(cells) > 0 {
		s := step(cells[0].Start)
		n := 1
		for n < len(cells) && cells[n].Start < s.To {
			n++
		}
		part := f
		part.From, part.To = max(s.From, f.From), min(s.To, f.To)
		steps = append(steps, total(part, cells[:n]))
		cells = cells[n:]
	}
	return steps
}
