package cassandra

import (
	"context"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	putFilter = `INSERT INTO filters (dimension, filter, since, until, name, predicate, version)
		VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	getFilters = `SELECT filter, since, until, name, predicate, version FROM filters WHERE dimension = ?`

	dimension = "filter"
)

var _ storage.FilterStore = (*Store)(nil)

// filterRow is written at its version. A row without an end has no until: should it
// have had one in an older version, this takes it away.
func filterRow(f *storage.Filter) upsert {
	var until any
	if f.Until != click.None {
		until = f.Until
	}
	return put(writeTime(f.Version), putFilter, dimension, f.ID, f.From, until, f.Name, f.Where, f.Version)
}

// PutFilters implements [storage.FilterStore].
func (s *Store) PutFilters(ctx context.Context, list []storage.Filter) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	p := plan{Tuning: s.opts.Tuning}
	for i := range list {
		if !list[i].Valid() {
			return fmt.Errorf("%w: no filter is %+v", storage.ErrInvalid, list[i])
		}
		p.together(dimension, filterRow(&list[i]))
	}
	p.flush()
	if err := s.send(ctx, p.requests); err != nil {
		return fmt.Errorf("store filters: %w", err)
	}
	return nil
}

// Filters implements [storage.FilterStore].
func (s *Store) Filters(ctx context.Context) ([]storage.Filter, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	it := s.read(ctx, getFilters, dimension).Iter()
	var out []storage.Filter
	for {
		var f storage.Filter
		var until *int64
		if !it.Scan(&f.ID, &f.From, &until, &f.Name, &f.Where, &f.Version) {
			break
		}
		f.Until = click.None
		if until != nil {
			f.Until = *until
		}
		out = append(out, f)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("filters: %w", translate(err))
	}
	return out, nil
}
