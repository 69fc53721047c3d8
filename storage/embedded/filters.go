package embedded

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

var _ storage.FilterStore = (*Store)(nil)

// PutFilters implements [storage.FilterStore].
func (s *Store) PutFilters(ctx context.Context, list []storage.Filter) error {
	db, done, err := s.use()
	if err != nil {
		return err
	}
	defer done()
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range list {
		if !list[i].Valid() {
			return fmt.Errorf("%w: no filter is %+v", storage.ErrInvalid, list[i])
		}
	}
	if err := s.spare(); err != nil {
		return err
	}
	batch := db.NewBatch()
	defer func() { _ = batch.Close() }()
	for i := range list {
		if err := batch.Merge(appendFilterKey(nil, &list[i]), appendFilterRow(nil, &list[i]), nil); err != nil {
			return fmt.Errorf("fill batch: %w", err)
		}
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Filters implements [storage.FilterStore].
func (s *Store) Filters(ctx context.Context) ([]storage.Filter, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	it, err := rows(db, []byte{kindFilter}, after([]byte{kindFilter}))
	if err != nil {
		return nil, fmt.Errorf("filters: %w", damaged(err))
	}
	var out []storage.Filter
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var f storage.Filter
		if f, err = filterRow(it.Key()[1:], it.Value()); err == nil {
			out = append(out, f)
			err = ctx.Err()
		}
	}
	if err := finish(it, err); err != nil {
		return nil, fmt.Errorf("filters: %w", err)
	}
	return out, nil
}

// appendFilterKey lets keys stand in the order of identifiers' bytes: no identifier has
// a zero byte.
func appendFilterKey(b []byte, f *storage.Filter) []byte {
	b = append(append(b, kindFilter), f.ID...)
	return appendOrdered(append(b, 0), f.From)
}

func appendFilterRow(b []byte, f *storage.Filter) []byte {
	b = appendOrdered(b, f.Version)
	b = binary.AppendVarint(b, f.Until)
	return click.AppendBytes(click.AppendBytes(b, f.Name), f.Where)
}

func filterRow(key, value []byte) (storage.Filter, error) {
	at := len(key) - 9 // of the zero byte
	if at < 1 || len(value) < 8 {
		return storage.Filter{}, errRow
	}
	d := click.NewDecoder(value[8:])
	f := storage.Filter{
		ID: string(key[:at]), From: ordered(key[at+1:]), Version: ordered(value),
		Until: d.Int(), Name: string(d.Bytes()), Where: string(d.Bytes()),
	}
	return f, end(&d)
}
