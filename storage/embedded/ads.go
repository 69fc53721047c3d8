package embedded

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clickagg/clickagg/storage"
)

// Ads implements storage.Store. The windows are of one moment.
func (s *Store) Ads(ctx context.Context, filter, prefix string, from, to int64, limit int) ([]string, error) {
	db, done, err := s.use()
	if err != nil {
		return nil, err
	}
	defer done()
	if from >= to {
		return nil, nil
	}
	key := appendFilter(nil, kindCell, filter)
	it, err := rows(db, appendOrdered(slices.Clone(key), from), appendOrdered(slices.Clone(key), to))
	if err != nil {
		return nil, fmt.Errorf("ads: %w", damaged(err))
	}
	var ads []string
	// Every window that is there is visited once, by the first key in it.
	for ok := it.First(); ok && err == nil; {
		var c storage.Cell
		if c, err = cell(it.Key()[len(key):], it.Value()); err != nil {
			break
		}
		window := appendOrdered(slices.Clone(key), c.Start)
		if ads, err = begin(it, window, prefix, limit, ads); err == nil {
			ok, err = it.SeekGE(after(window)), ctx.Err()
		}
	}
	if err := finish(it, err); err != nil {
		return nil, fmt.Errorf("ads: %w", err)
	}
	return ads, nil
}

// begin adds the ads of a window that begin with a prefix to those found, in
// order, and keeps the first limit of all.
func begin(it *pebble.Iterator, window []byte, prefix string, limit int, found []string) ([]string, error) {
	lower := append(slices.Clone(window), prefix...)
	for ok, n := it.SeekGE(lower), 0; ok && n < limit && bytes.HasPrefix(it.Key(), lower); ok = it.Next() {
		c, err := cell(it.Key()[len(window)-8:], it.Value())
		if err != nil {
			return nil, err
		}
		if c.Count > 0 {
			found = append(found, string(c.Ad))
			n++
		}
	}
	return storage.FirstAds(found, limit), it.Error()
}
