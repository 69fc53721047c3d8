package answer

import (
	"context"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/storage"
)

// filtersFresh is how long the filter table may be known without reading it again.
const filtersFresh = time.Second

// filterTable is the store's filter table as last read.
type filterTable struct {
	read time.Time
	rows []storage.Filter
}

// Filters lists the rows of the filter table, at most a second old, in the order of
// identifiers and of time. The slice is not the caller's to change.
func (r *Reader) Filters(ctx context.Context, now time.Time) ([]storage.Filter, error) {
	if t := r.filters.Load(); t != nil && now.Sub(t.read) < filtersFresh {
		return t.rows, nil
	}
	rows, err := r.store.Filters(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the filter table: %w", err)
	}
	r.filters.Store(&filterTable{now, rows})
	return rows, nil
}
