package cassandra

import (
	"context"
	"fmt"
	"strings"

	"github.com/clickagg/clickagg/storage"
)

// Ads implements [storage.Store]. It asks every bucket of every window for the
// few rows that matter.
func (s *Store) Ads(ctx context.Context, filter, prefix string, from, to int64, limit int) ([]string, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	if from, to = clamp(from, to); from >= to {
		return nil, nil
	}
	days, err := s.days(ctx, filter, from, to)
	if err != nil {
		return nil, fmt.Errorf("ads: %w", err)
	}
	starts, err := each(ctx, days, func(ctx context.Context, day int64) ([]int64, error) {
		return s.starts(ctx, filter, day, from, to)
	})
	if err != nil {
		return nil, fmt.Errorf("ads: %w", err)
	}
	var parts []int64 // a window and one of its buckets
	for i := range starts {
		for b := range int64(buckets) {
			parts = append(parts, int64(i)*buckets+b)
		}
	}
	ads, err := each(ctx, parts, func(ctx context.Context, part int64) ([]string, error) {
		return s.begin(ctx, filter, prefix, starts[part/buckets], int8(part%buckets), limit)
	})
	if err != nil {
		return nil, fmt.Errorf("ads: %w", err)
	}
	return storage.FirstAds(ads, limit), nil
}

// begin returns the first ads of a bucket that begin with a prefix.
func (s *Store) begin(ctx context.Context, filter, prefix string, start int64, bucket int8, limit int) ([]string, error) {
	it := s.read(ctx, getAds, filter, start, bucket, prefix).PageSize(limit + 1).Prefetch(0).Iter()
	var ads []string
	var ad string
	for count := int64(0); len(ads) < limit && it.Scan(&ad, &count) && strings.HasPrefix(ad, prefix); {
		if count > 0 {
			ads = append(ads, ad)
		}
	}
	return ads, it.Close()
}
