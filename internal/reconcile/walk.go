package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/storage"
)

// walk goes through all windows of a range in the order of time, under each filter that either
// the store or the recount has.
type walk struct {
	size    int64
	filters []string // that have a count in the store
	next    int64    // the window to come
	windows map[string]*recount.Window
	each    func(ctx context.Context, w *recount.Window) error
}

// walk begins one.
func (r *Reconciler) walk(ctx context.Context, from int64, each func(ctx context.Context, w *recount.Window) error) (*walk, error) {
	filters, err := r.Store.Counted(ctx)
	if err != nil {
		return nil, fmt.Errorf("read which filters are stored: %w", err)
	}
	filters = slices.DeleteFunc(filters, func(f string) bool { return strings.Contains(f, "/") })
	return &walk{r.Size, filters, from, map[string]*recount.Window{}, each}, nil
}

// take takes the next window that was counted again.
func (k *walk) take(ctx context.Context, w *recount.Window) error {
	if err := k.until(ctx, w.Start); err != nil {
		return err
	}
	k.windows[w.Filter] = w
	return nil
}

// until goes through the windows before one.
func (k *walk) until(ctx context.Context, start int64) error {
	for ; k.next < start; k.next += k.size {
		filters := slices.Clone(k.filters)
		for f := range k.windows {
			filters = append(filters, f)
		}
		slices.Sort(filters)
		for _, f := range slices.Compact(filters) {
			w := k.windows[f]
			if w == nil {
				w = &recount.Window{Start: k.next, Filter: f}
			}
			if err := k.each(ctx, w); err != nil {
				return err
			}
		}
		clear(k.windows)
	}
	return nil
}

// closed is the part of a range whose windows are closed for good: whole windows.
func (r *Reconciler) closed(ctx context.Context, q Question) (recount.Range, error) {
	marks, err := r.Store.Marks(ctx)
	if err != nil {
		return recount.Range{}, fmt.Errorf("read how far the store is complete: %w", err)
	}
	_, closed := storage.Until(marks)
	from, to := q.From-q.From%r.Size, min(q.To, max(closed, 0))
	return recount.Range{From: from, To: max(from, to-to%r.Size)}, nil
}
