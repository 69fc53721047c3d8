package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// CompleteUntil implements storage.Store.
func (s *Store) CompleteUntil(ctx context.Context) (int64, error) {
	marks, err := s.Marks(ctx)
	complete, _ := storage.Until(marks)
	return complete, err
}

// Marks implements storage.Store.
func (s *Store) Marks(context.Context) ([]storage.Mark, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	type numbers struct{ partition, partitions, reducer, reducers int32 }
	// Closed times and holds are read first: those of the marks that follow are not older. Holds
	// are of a partition and reducer, however many there are of them.
	closed, holds := map[numbers]int64{}, map[string]click.Hold{}
	var marks []storage.Mark
	for _, kind := range []byte{kindClosed, kindHold, kindMark} {
		err := each(db, []byte{kind}, after([]byte{kind}), func(key, value []byte) (err error) {
			if kind == kindHold {
				holds[string(key[1:])], err = hold(value)
				return err
			}
			m, at, err := mark(key[1:], value)
			who := numbers{m.Partition, m.Partitions, m.Reducer, m.Reducers}
			if kind == kindClosed {
				closed[who] = at
				return err
			}
			m.Watermark, m.Closed, m.Hold = at, click.None, holds[string(key[1:])]
			if c, ok := closed[who]; ok {
				m.Closed = c
			}
			marks = append(marks, m)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("marks: %w", err)
		}
	}
	return marks, nil
}

// Rollups implements storage.Store.
func (s *Store) Rollups(_ context.Context, series string, from, to int64) ([]storage.Rollup, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	if from >= to {
		return nil, nil
	}
	prefix := appendFilter(nil, kindRollup, series)
	var out []storage.Rollup
	err = each(db, appendOrdered(slices.Clone(prefix), from), appendOrdered(slices.Clone(prefix), to), func(key, value []byte) error {
		r, err := rollup(key[len(prefix):], value)
		if err == nil && r.End <= to {
			out = append(out, r)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("roll-ups: %w", err)
	}
	return out, nil
}

// Touches implements storage.Store.
func (s *Store) Touches(_ context.Context, from, to int64) ([]storage.Touch, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	if from >= to {
		return nil, nil
	}
	if from >= click.None+calendar.HourMS { // those before cannot be hours
		from = calendar.Hour(from).From
	}
	var out []storage.Touch
	err = each(db, appendOrdered([]byte{kindTouch}, from), appendOrdered([]byte{kindTouch}, to), func(key, value []byte) error {
		t, err := touch(key[1:], value)
		out = append(out, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("touches: %w", err)
	}
	return out, nil
}

// each calls f with every row from lower to before upper, until it returns an error.
func each(db *pebble.DB, lower, upper []byte, f func(key, value []byte) error) error {
	it, err := rows(db, lower, upper)
	if err != nil {
		return damaged(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = f(it.Key(), it.Value())
	}
	return finish(it, err)
}

// Counted implements storage.Store. It leaps from the first cell of each series to
// that of the next.
func (s *Store) Counted(context.Context) ([]string, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	it, err := rows(db, []byte{kindCell}, after([]byte{kindCell}))
	if err != nil {
		return nil, fmt.Errorf("counted filters: %w", damaged(err))
	}
	var out []string
	for ok := it.First(); ok; {
		key := it.Key()[1:]
		n, length := binary.Uvarint(key)
		if length <= 0 || n > uint64(len(key)-length) {
			err = errRow
			break
		}
		series := string(key[length : length+int(n)])
		if !strings.Contains(series, "/") {
			out = append(out, series)
		}
		ok = it.SeekGE(after(appendFilter(nil, kindCell, series)))
	}
	if err := finish(it, err); err != nil {
		return nil, fmt.Errorf("counted filters: %w", err)
	}
	slices.Sort(out)
	return out, nil
}
