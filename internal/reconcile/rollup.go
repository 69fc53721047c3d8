package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/storage"
)

// rollups compares the hours and days within the range that answers are made of with their windows.
func (c *run) rollups(ctx context.Context) error {
	for _, filter := range c.walk.filters {
		for u := storage.Hour; u <= storage.Day; u++ {
			pieces, err := storage.Pieces(ctx, c.Store, filter, c.report.From, c.report.To, storage.Cut{Longest: u})
			if err != nil {
				return err
			}
			for i := range pieces {
				if pieces[i].Unit != u {
					continue
				}
				for _, r := range pieces[i].Rollups {
					if err := errors.Join(c.tick(), c.rollup(ctx, filter, u, r)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// rollup compares one.
func (c *run) rollup(ctx context.Context, filter string, u storage.Unit, r storage.Rollup) error {
	var want fold
	window := r.Start // one that has a count, if there is any
	for at := r.Start; at < r.End; at += c.Size {
		if c.wrong[part{at, filter}] {
			return nil // it is made anew when the windows are put right
		}
		f := c.folds[part{at, filter}]
		if want == (fold{}) && f != (fold{}) {
			window = at
		}
		want.clicks += f.clicks
		want.hash += f.hash
		want.corrections += f.corrections
	}
	list, err := c.list(ctx, u.Series(filter), r.Start)
	if err != nil {
		return err
	}
	got, err := c.scan(ctx, u.Series(filter), r.Start, r.Start+1, list.add)
	if err != nil {
		return err
	}
	if got != want {
		// The windows were read a while ago: they may have been corrected, and it with them.
		if want, err = c.scan(ctx, filter, r.Start, r.End, func(*storage.Cell) {}); err != nil {
			return err
		}
	}
	why := cause.Part{}
	switch {
	case got.counts() != want.counts():
		why = cause.Part{Cause: cause.WrongRollup, Clicks: max(1, got.clicks-want.clicks, want.clicks-got.clicks)}
	case got != want:
		why.Cause = cause.WrongState
	case !list.holds():
		c.find(Difference{Kind: List, Start: r.Start, Filter: u.Series(filter), window: part{window, filter}, Parts: []cause.Part{{Cause: cause.WrongList}}})
		return nil
	default:
		return nil
	}
	c.find(Difference{
		Kind: Rollup, Start: r.Start, Filter: u.Series(filter), window: part{window, filter}, Parts: []cause.Part{why},
		Row: cause.Row{Stored: click.Sum{Count: got.clicks}, Raw: click.Sum{Count: want.clicks}},
	})
	return nil
}

// scan adds up the counts of a series.
func (c *run) scan(ctx context.Context, series string, from, to int64, each func(*storage.Cell)) (f fold, err error) {
	err = c.Store.Scan(ctx, series, from, to, func(cell *storage.Cell) error {
		f.add(cell)
		each(cell)
		return nil
	})
	if err != nil {
		return f, fmt.Errorf("read hours and days: %w", err)
	}
	return f, nil
}
