package recount

import (
	"context"
	"math"
	"slices"

	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// Kept is what was kept of a log, in the raw store, in an archive, or in both: then each record is read
// once, from the archive if it is there.
type Kept struct {
	// Raw is nil without a raw store.
	Raw storage.RawStore
	// Archived opens the archive when it is asked for the first time, and says how to let go of it; nil without one.
	Archived func(ctx context.Context) (*archive.Reader, func() error, error)
	// Log is the input that was kept.
	Log Input

	archive *archive.Reader
	close   func() error
	asOf    int64
}

// Close lets go of the archive. It is called when nothing is read any more.
func (k *Kept) Close() error {
	if k.close == nil {
		return nil
	}
	return k.close()
}

// Sources lists those that have records, and those of the log that lack their records here.
// It finds out whether all that the log has is kept.
func (k *Kept) Sources(ctx context.Context) (names []click.Source, err error) {
	k.asOf = click.None
	if k.Raw != nil {
		if names, err = k.Raw.Sources(ctx); err != nil {
			return nil, err
		}
	}
	if k.Archived != nil && k.archive == nil {
		if k.archive, k.close, err = k.Archived(ctx); err != nil {
			return nil, err
		}
	}
	if k.archive != nil {
		names = union(names, k.archive.Sources())
	}
	if len(names) == 0 {
		return nil, nil
	}
	written, err := k.Log.Sources(ctx)
	if err != nil {
		return nil, err
	}
	k.asOf = k.Log.AsOf()
	for _, s := range written {
		_, end, err := k.Log.Bounds(ctx, s)
		if err != nil {
			return nil, err
		}
		if k.archive != nil {
			if slices := k.archive.Slices(s); len(slices) > 0 && slices[len(slices)-1].To >= end {
				continue // a slice ends behind a record
			}
		}
		if _, ok, err := first(ctx, k.Read, s, max(0, end-1), math.MaxInt64); err != nil {
			return nil, err
		} else if !ok && end > 0 {
			k.asOf = click.None
			names = union(names, []click.Source{s})
		}
	}
	return names, nil
}

func union(a, b []click.Source) []click.Source {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// AsOf is that of the log when all that it has is kept.
func (k *Kept) AsOf() int64 { return k.asOf }

// Bounds are those of the last stretch that is known to have no hole: before a slice that follows no
// other, and before a raw store that has nothing from the archive's last record to its end, records may be gone.
// What the raw store has of earlier offsets says nothing of that: it may have been restored.
func (k *Kept) Bounds(ctx context.Context, s click.Source) (start, end int64, err error) {
	if k.archive != nil {
		for _, slice := range k.archive.Slices(s) {
			if slice.From != end || start == end {
				start = slice.From
			}
			end = slice.To
		}
	}
	if k.Raw == nil {
		return start, end, nil
	}
	rec, ok, err := first(ctx, k.Raw.Read, s, max(0, end-1), math.MaxInt64)
	if err != nil || !ok {
		return start, end, err
	}
	if rec.Offset > end || start == end {
		start = rec.Offset
	}
	last, err := k.last(ctx, s, rec.Offset)
	return start, last + 1, err
}

// last feels its way from an offset that the raw store has to its last one, which it does not know.
func (k *Kept) last(ctx context.Context, s click.Source, at int64) (int64, error) {
	low, high, step := at, int64(math.MaxInt64), int64(1)
	for low+1 < high { // a record is at or above low, none at or above high
		next := low + step
		if step = min(2*step, 1<<40); next >= high {
			next, step = low+(high-low)/2, 1
		}
		rec, ok, err := first(ctx, k.Raw.Read, s, next, high)
		switch {
		case err != nil:
			return 0, err
		case ok:
			low = rec.Offset
		default:
			high = next
		}
	}
	return low, nil
}

// Since asks the archive, which has an index, first.
func (k *Kept) Since(ctx context.Context, s click.Source, start, end, ms int64) (int64, error) {
	if k.archive != nil {
		at, ok, err := k.archive.Since(ctx, s, ms)
		if err != nil || ok {
			return min(max(at, start), end), err
		}
		if slices := k.archive.Slices(s); len(slices) > 0 {
			start = max(start, min(end, slices[len(slices)-1].To))
		}
	}
	return search(ctx, k, s, start, end, ms)
}

// Read reads from the archive what is there, and the rest from the raw store.
func (k *Kept) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	if k.archive != nil {
		for _, slice := range k.archive.Slices(s) {
			if slice.To <= from || slice.From >= to {
				continue
			}
			if err := k.raw(ctx, s, from, slice.From, f); err != nil {
				return err
			}
			if err := k.archive.Read(ctx, s, from, min(to, slice.To), f); err != nil {
				return err
			}
			from = slice.To
		}
	}
	return k.raw(ctx, s, from, to, f)
}

func (k *Kept) raw(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	if k.Raw == nil || from >= to {
		return nil
	}
	return k.Raw.Read(ctx, s, from, to, f)
}
