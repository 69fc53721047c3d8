package answer

import (
	"context"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// adsWindows is how far back, in windows, ads are looked for: an hour of minutes.
const adsWindows = 60

// Ads returns up to limit ads that begin with a prefix, in the order of bytes, of
// those with clicks in the newest windows of the store. It looks at more windows
// only while there are too few, so that what most ask for is found in one.
func (r *Reader) Ads(ctx context.Context, prefix string, limit int) ([]string, error) {
	_, last, ok, err := r.store.Span(ctx, click.FilterAll)
	if err != nil {
		return nil, fmt.Errorf("read what is stored: %w", err)
	}
	var ads []string
	for seen, n := int64(0), int64(1); ok && len(ads) < limit && seen < adsWindows; seen, n = seen+n, min(2*n, adsWindows-seen-n) {
		to := last + (1-seen)*r.window
		more, err := r.store.Ads(ctx, click.FilterAll, prefix, to-n*r.window, to, limit)
		if err != nil {
			return nil, fmt.Errorf("look for ads: %w", err)
		}
		ads = storage.FirstAds(append(ads, more...), limit)
	}
	return ads, nil
}
