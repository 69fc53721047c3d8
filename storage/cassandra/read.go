package cassandra

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	// readsAtOnce is how many requests one question may have under way.
	readsAtOnce = 16
	// few is up to how many parts of a range are asked for without looking first
	// which of them exist.
	few = 8

	pageOfLists = 16  // rows; a list has some 50 KB
	pageOfHeads = 120 // rows, of 5 KB
	pageOfCells = 500
)

// elsewhere lets a read try one more node, unless it has waited long already.
type elsewhere struct{}

// Attempt implements gocql.RetryPolicy.
func (elsewhere) Attempt(q gocql.RetryableQuery) bool { return q.Attempts() <= 1 }

// GetRetryType implements gocql.RetryPolicy.
func (elsewhere) GetRetryType(err error) gocql.RetryType {
	if again(err) {
		return gocql.RetryNextHost
	}
	return gocql.Rethrow
}

func (s *Store) read(ctx context.Context, statement string, args ...any) *gocql.Query {
	return s.session.Query(statement, args...).WithContext(ctx).RetryPolicy(elsewhere{})
}

// Count implements [storage.Store].
func (s *Store) Count(ctx context.Context, filter string, ad []byte, from, to int64) ([]storage.Cell, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	from, to = clamp(from, to)
	days, err := s.parts(ctx, filter, from, to, lengthsOf(filter).counts)
	if err != nil {
		return nil, fmt.Errorf("count: %w", err)
	}
	cells, err := each(ctx, days, func(ctx context.Context, part int64) ([]storage.Cell, error) {
		return s.countDay(ctx, filter, ad, part, from, to)
	})
	if err != nil {
		return nil, fmt.Errorf("count: %w", err)
	}
	return cells, nil
}

func (s *Store) countDay(ctx context.Context, filter string, ad []byte, part, from, to int64) ([]storage.Cell, error) {
	it := s.read(ctx, getCounts, ad, filter, part, from, to).Iter()
	var cells []storage.Cell
	var c storage.Cell
	var digest int64
	for state := int8(0); it.Scan(&c.Start, &c.Count, &digest, &c.Revision, &state, &c.Version); {
		if c.Count > 0 {
			c.Ad, c.Digest, c.State = bytes.Clone(ad), uint64(digest), click.State(state)
			cells = append(cells, c)
		}
	}
	return cells, it.Close()
}

// Rankings implements [storage.Store].
func (s *Store) Rankings(ctx context.Context, filter string, from, to int64, most int) ([]click.Ranking, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	from, to = clamp(from, to)
	hours, err := s.parts(ctx, filter, from, to, lengthsOf(filter).lists)
	if err != nil {
		return nil, fmt.Errorf("rankings: %w", err)
	}
	lists, err := each(ctx, hours, func(ctx context.Context, part int64) ([]click.Ranking, error) {
		return s.rankHour(ctx, filter, part, from, to, most)
	})
	if err != nil {
		return nil, fmt.Errorf("rankings: %w", err)
	}
	return lists, nil
}

// rankHour reads the first most ads of the lists of a part of a range.
func (s *Store) rankHour(ctx context.Context, filter string, part, from, to int64, most int) ([]click.Ranking, error) {
	read := func(statement string, page int) ([]click.Ranking, bool, error) {
		return s.scanLists(s.read(ctx, statement, filter, part, from, to).PageSize(page), filter, most)
	}
	lists, whole, err := read(getHeads, pageOfHeads)
	if err != nil {
		return nil, err
	}
	if most > headOf && slices.ContainsFunc(lists, cutShort) {
		all, _, err := read(getLists, pageOfLists)
		if err != nil {
			return nil, err
		}
		lists = newest(lists, all)
	}
	if !whole || most > headOf && slices.ContainsFunc(lists, cutShort) { // a release before this one was here
		all, _, err := read(getTops, pageOfLists)
		if err != nil {
			return nil, err
		}
		lists = newest(lists, all)
	}
	return lists, nil
}

// cutShort tells whether a list may be a head of a longer one.
func cutShort(r click.Ranking) bool { return len(r.Top) == headOf && r.Ads > headOf }

// newest joins two reads of lists: of a window, the newest of its lists, or of as new ones the longer.
func newest(some, more []click.Ranking) []click.Ranking {
	all := slices.SortedFunc(slices.Values(slices.Concat(some, more)), func(a, b click.Ranking) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.Version, a.Version), cmp.Compare(len(b.Top), len(a.Top)))
	})
	return slices.CompactFunc(all, func(a, b click.Ranking) bool { return a.Start == b.Start })
}

// scanLists reads the first most ads of lists, but of none whose cell was written before the rest of its row, and
// returns false if there is one: the release before heads writes none, and leaves those that are there.
func (s *Store) scanLists(q *gocql.Query, filter string, most int) (lists []click.Ranking, whole bool, err error) {
	it, whole := q.Iter(), true
	for {
		r, list := click.Ranking{Filter: filter}, first{most: most}
		var state int8
		var row, cell int64
		if !it.Scan(&r.Start, &r.Size, &r.Revision, &state, &r.Version, &r.Clicks, &r.Ads, &list, &row, &cell) {
			return lists, whole, it.Close()
		}
		if cell != row {
			whole = false
			continue
		}
		if r.State, r.Top = click.State(state), list.rows; r.Size == 0 {
			r.Size = s.size.Load()
		}
		lists = append(lists, r)
	}
}

// Lineage implements [storage.Store].
func (s *Store) Lineage(ctx context.Context, start int64) (click.Lineage, bool, error) {
	if err := s.use(ctx); err != nil {
		return click.Lineage{}, false, err
	}
	if start < minStart || start > maxStart {
		return click.Lineage{}, false, nil
	}
	var text []byte
	switch err := s.read(ctx, getLineage, calendar.Floor(start, hour), start).Scan(&text); {
	case errors.Is(err, gocql.ErrNotFound):
		return click.Lineage{}, false, nil
	case err != nil:
		return click.Lineage{}, false, fmt.Errorf("lineage: %w", translate(err))
	}
	l, err := click.ParseLineage(text)
	if err != nil {
		return click.Lineage{}, false, fmt.Errorf("a stored lineage cannot be read: %w", err)
	}
	return l, true, nil
}

// parts lists the days or hours, by their start, that lie in a range and may hold
// something. A long range costs no more than the days that are there.
func (s *Store) parts(ctx context.Context, filter string, from, to, length int64) ([]int64, error) {
	if from >= to || filter == "" {
		return nil, nil
	}
	var parts []int64
	if (to-from)/length < few {
		for part := calendar.Floor(from, length); part < to; part += length {
			parts = append(parts, part)
		}
		return parts, nil
	}
	days, err := s.days(ctx, filter, from, to)
	if err != nil {
		return nil, err
	}
	for _, d := range days {
		for part := d; part < d+lengthsOf(filter).counts; part += length {
			if part+length > from && part < to {
				parts = append(parts, part)
			}
		}
	}
	return parts, nil
}

// days lists the days in a range that have something under a filter.
func (s *Store) days(ctx context.Context, filter string, from, to int64) ([]int64, error) {
	if filter == "" {
		return nil, nil // no row has one, and a key cannot be empty
	}
	long := lengthsOf(filter).counts
	it := s.read(ctx, getDays, filter, calendar.Floor(from, long), calendar.Floor(to-1, long)).Iter()
	var days []int64
	for d := (time.Time{}); it.Scan(&d); {
		days = append(days, d.UnixMilli())
	}
	return days, translate(it.Close())
}

// starts lists the windows of a day in a range.
func (s *Store) starts(ctx context.Context, filter string, part, from, to int64) ([]int64, error) {
	it := s.read(ctx, getStarts, filter, part, from, to).Iter()
	var starts []int64
	for start := int64(0); it.Scan(&start); {
		starts = append(starts, start)
	}
	return starts, translate(it.Close())
}

// each asks for all parts, some at once, and joins the answers in order.
func each[T any](ctx context.Context, parts []int64, ask func(context.Context, int64) ([]T, error)) ([]T, error) {
	answers := make([][]T, len(parts))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for i, part := range parts {
		g.Go(func() (err error) {
			answers[i], err = ask(gctx, part)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, translate(err)
	}
	return slices.Concat(answers...), nil
}

// Span implements [storage.Store].
func (s *Store) Span(ctx context.Context, filter string) (first, last int64, ok bool, err error) {
	if err := s.use(ctx); err != nil {
		return 0, 0, false, err
	}
	days, err := s.days(ctx, filter, minStart, maxStart+1)
	if err == nil {
		first, ok, err = s.edge(ctx, filter, days, func(list []int64) {})
	}
	if err == nil && ok {
		last, ok, err = s.edge(ctx, filter, days, slices.Reverse)
	}
	if err != nil {
		return 0, 0, false, fmt.Errorf("span: %w", err)
	}
	return first, last, ok, nil
}

// edge finds the first window with a click in an order of days and windows.
func (s *Store) edge(ctx context.Context, filter string, days []int64, order func([]int64)) (start int64, ok bool, err error) {
	order(days)
	for _, d := range days {
		starts, err := s.starts(ctx, filter, d, minStart, maxStart+1)
		if err != nil {
			return 0, false, err
		}
		order(starts)
		for _, start := range starts {
			if ok, err := s.clicked(ctx, filter, start); ok || err != nil {
				return start, ok, err
			}
		}
	}
	return 0, false, nil
}

// clicked tells whether a window has a click.
func (s *Store) clicked(ctx context.Context, filter string, start int64) (bool, error) {
	for b := range int8(buckets) {
		r := s.bucket(ctx, filter, start, b)
		found := r.next()
		if err := r.close(); found || err != nil {
			return found, err
		}
	}
	return false, nil
}
