package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// looks is after how many rows a long read looks whether it is still wanted.
const looks = 1024

// leap is after how many windows a count looks whether windows are missing.
const leap = 32

// rows walks over the keys from lower to before upper, as they were when it
// began. It is closed by the caller.
func rows(db *pebble.DB, lower, upper []byte) (*pebble.Iterator, error) {
	return db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

// finish closes an iterator and says what went wrong in the walk, if anything.
func finish(it *pebble.Iterator, err error) error {
	if closing := it.Close(); err == nil {
		err = closing
	}
	return damaged(err)
}

// Count implements storage.Store. The cells are of one moment.
func (s *Store) Count(ctx context.Context, filter string, ad []byte, from, to int64) ([]storage.Cell, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	prefix := appendFilter(nil, kindCell, filter)
	it, err := rows(db, prefix, after(prefix))
	if err != nil {
		return nil, fmt.Errorf("count: %w", damaged(err))
	}
	cells, err := s.count(ctx, it, prefix, ad, s.stepOf(filter), from, to)
	if err := finish(it, err); err != nil {
		return nil, fmt.Errorf("count: %w", err)
	}
	return cells, nil
}

// step is how a count gets from one start to the next: by so much, and looking every
// so many times whether starts are missing.
type step struct {
	size int64
	leap int
}

// stepOf is how to step through a series. Days are not of one size: each is looked for.
func (s *Store) stepOf(series string) step {
	switch u, _ := storage.UnitOf(series); u {
	case storage.Window:
		return step{s.size.Load(), leap}
	case storage.Hour:
		return step{calendar.HourMS, leap}
	default:
		return step{1, 1}
	}
}

// count looks the ad up in every window between the first and the last of the
// store, however much was asked for.
func (s *Store) count(ctx context.Context, it *pebble.Iterator, prefix, ad []byte, by step, from, to int64) ([]storage.Cell, error) {
	if from >= to || !it.Last() {
		return nil, it.Error()
	}
	last, err := cell(it.Key()[len(prefix):], it.Value())
	if err != nil {
		return nil, err
	}
	end := min(last.Start, to-1)
	var cells []storage.Cell
	key := slices.Clone(prefix)
	for n := 0; from <= end; n++ {
		if n%looks == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if n%by.leap == 0 {
			// Where there are no windows at all, the next one is not far.
			if !it.SeekGE(appendOrdered(key[:len(prefix)], from)) {
				break
			}
			next, err := cell(it.Key()[len(prefix):], it.Value())
			if err != nil {
				return nil, err
			}
			if from = next.Start; from > end {
				break
			}
		}
		key = append(appendOrdered(key[:len(prefix)], from), ad...)
		if it.SeekPrefixGE(key) {
			c, err := cell(it.Key()[len(prefix):], it.Value())
			if err != nil {
				return nil, err
			}
			if c.Count > 0 {
				c.Ad = bytes.Clone(ad)
				cells = append(cells, c)
			}
		}
		if from > end-by.size {
			break // the next start could be beyond the greatest number
		}
		from += by.size
	}
	return cells, it.Error()
}

// Scan implements storage.Store.
func (s *Store) Scan(ctx context.Context, filter string, from, to int64, f func(*storage.Cell) error) error {
	db, done, err := s.use()
	if err != nil {
		return err
	}
	defer done()
	if from >= to {
		return nil
	}
	prefix := appendFilter(nil, kindCell, filter)
	it, err := rows(db, appendOrdered(slices.Clone(prefix), from), appendOrdered(slices.Clone(prefix), to))
	if err != nil {
		return fmt.Errorf("scan: %w", damaged(err))
	}
	var stop error // the caller's, returned as it is
	n := 0
	err = finish(it, walk(it, len(prefix), func(c *storage.Cell) (err error) {
		if n++; n%looks == 1 && ctx.Err() != nil {
			return ctx.Err()
		}
		if c.Count > 0 {
			stop = f(c)
		}
		return stop
	}))
	if stop != nil {
		return stop
	}
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	return nil
}

// Copies implements storage.Store: Count reads the cells that Scan does.
func (s *Store) Copies(context.Context, int64, int64, func(string, *storage.Cell) error) (bool, error) {
	_, done, err := s.use()
	if err != nil {
		return false, err
	}
	done()
	return false, nil
}

// walk hands out the cells of an iterator whose keys open with a prefix.
func walk(it *pebble.Iterator, prefix int, f func(*storage.Cell) error) error {
	for ok := it.First(); ok; ok = it.Next() {
		c, err := cell(it.Key()[prefix:], it.Value())
		if err != nil {
			return err
		}
		if err := f(&c); err != nil {
			return err
		}
	}
	return it.Error()
}

// Span implements storage.Store.
func (s *Store) Span(_ context.Context, filter string) (first, last int64, ok bool, err error) {
	db, done, err := s.use()
	if err != nil {
		return 0, 0, false, err
	}
	defer done()
	prefix := appendFilter(nil, kindCell, filter)
	it, err := rows(db, prefix, after(prefix))
	if err != nil {
		return 0, 0, false, fmt.Errorf("span: %w", damaged(err))
	}
	first, ok, err = edge(it, len(prefix), it.First, it.Next)
	if err == nil && ok {
		last, ok, err = edge(it, len(prefix), it.Last, it.Prev)
	}
	if err := finish(it, err); err != nil {
		return 0, 0, false, fmt.Errorf("span: %w", err)
	}
	return first, last, ok, nil
}

// edge finds the window of the first cell with a click in one direction.
func edge(it *pebble.Iterator, prefix int, begin, next func() bool) (start int64, ok bool, err error) {
	for ok := begin(); ok; ok = next() {
		c, err := cell(it.Key()[prefix:], it.Value())
		if err != nil {
			return 0, false, err
		}
		if c.Count > 0 {
			return c.Start, true, nil
		}
	}
	return 0, false, it.Error()
}

// Rankings implements storage.Store.
func (s *Store) Rankings(ctx context.Context, filter string, from, to int64, most int) ([]click.Ranking, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	if from >= to {
		return nil, nil
	}
	prefix := appendFilter(nil, kindRanking, filter)
	it, err := rows(db, appendOrdered(slices.Clone(prefix), from), appendOrdered(slices.Clone(prefix), to))
	if err != nil {
		return nil, fmt.Errorf("rankings: %w", damaged(err))
	}
	var out []click.Ranking
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var r click.Ranking
		if r, err = ranking(filter, it.Key()[len(prefix):], it.Value(), most); err == nil {
			if r.Size == 0 {
				r.Size = s.stepOf(filter).size
			}
			out = append(out, r)
			err = ctx.Err()
		}
	}
	if err := finish(it, err); err != nil {
		return nil, fmt.Errorf("rankings: %w", err)
	}
	return out, nil
}

// Lineage implements storage.Store.
func (s *Store) Lineage(_ context.Context, start int64) (l click.Lineage, ok bool, err error) {
	db, done, err := s.use()
	if err != nil {
		return click.Lineage{}, false, err
	}
	defer done()
	value, closer, err := db.Get(appendLineageKey(nil, start))
	if errors.Is(err, pebble.ErrNotFound) {
		return click.Lineage{}, false, nil
	}
	if err == nil {
		l, err = lineage(value)
		err = errors.Join(err, closer.Close())
	}
	if err != nil {
		return click.Lineage{}, false, fmt.Errorf("lineage: %w", damaged(err))
	}
	return l, true, nil
}
