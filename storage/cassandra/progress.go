package cassandra

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// CompleteUntil implements [storage.Store].
func (s *Store) CompleteUntil(ctx context.Context) (int64, error) {
	marks, err := s.Marks(ctx)
	complete, _ := storage.Until(marks)
	return complete, err
}

// Marks implements [storage.Store]. Every answer asks for them before its rows and after, so all
// who ask at the same time share one read.
func (s *Store) Marks(ctx context.Context) ([]storage.Mark, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	marks, err := s.marks.get(ctx)
	return slices.Clone(marks), err
}

// readMarks is for no caller in particular: it ends when it is answered, by the session's timeout, or
// when the session is closed.
func (s *Store) readMarks() ([]storage.Mark, error) {
	it := s.read(context.Background(), getMarks, marksOf).Iter()
	var marks []storage.Mark
	for {
		m := storage.Mark{Closed: click.None}
		var watermark, closed *int64
		if !it.Scan(&m.Partition, &m.Partitions, &m.Reducer, &m.Reducers, &watermark, &closed, &m.Hold.Number, &m.Hold.From, &m.Hold.To, &m.Hold.Done) {
			break
		}
		if watermark == nil {
			continue // of its hold, which is written with it, the request was there first
		}
		m.Watermark = *watermark
		if closed != nil {
			m.Closed = *closed
		}
		marks = append(marks, m)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("marks: %w", translate(err))
	}
	return marks, nil
}

// Rollups implements [storage.Store].
func (s *Store) Rollups(ctx context.Context, series string, from, to int64) ([]storage.Rollup, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	from, to = clamp(from, to)
	if from >= to || series == "" {
		return nil, nil
	}
	it := s.read(ctx, getRollups, series, from, to).Iter()
	var out []storage.Rollup
	var r storage.Rollup
	for size := int64(0); it.Scan(&r.Start, &size, &r.Version); {
		if r.End = r.Start + size; r.End <= to {
			out = append(out, r)
		}
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("roll-ups: %w", translate(err))
	}
	return out, nil
}

// Touches implements [storage.Store].
func (s *Store) Touches(ctx context.Context, from, to int64) ([]storage.Touch, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	from, to = clamp(from, to)
	if from >= to {
		return nil, nil
	}
	it := s.read(ctx, getTouches, marksOf, calendar.Floor(from, hour), to).Iter()
	var out []storage.Touch
	var start, number int64
	for partition := int32(0); it.Scan(&start, &partition, &number); {
		out = append(out, storage.TouchOf(start, partition, number))
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("touches: %w", translate(err))
	}
	return out, nil
}

// Counted implements [storage.Store].
func (s *Store) Counted(ctx context.Context) ([]string, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	it := s.read(ctx, getCounted).Iter()
	var out []string
	for series := ""; it.Scan(&series); {
		if !strings.Contains(series, "/") {
			out = append(out, series)
		}
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("counted filters: %w", translate(err))
	}
	slices.Sort(out)
	return out, nil
}
