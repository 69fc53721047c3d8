package answer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/clickagg/clickagg/internal/audit"
	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/copies"
	"github.com/clickagg/clickagg/storage"
)

const (
	auditSpan     = 60 // windows that are read together
	auditTries    = 5
	auditPatience = time.Second // between two tries
)

// Audit reads everything that is stored of the complete windows of [from, to), Unix ms,
// and holds it against itself. After some windows at a time it calls passed with how many
// of all it has looked at. The frame ends where complete windows do, or those that are being corrected
// begin; it is empty, To at From, when there is none. Counts that are kept twice are held against each other where windows
// are closed for good.
//
// A correction is stored row by row, and what is published with it comes on its own
// way. So a window that does not agree is read again for some seconds before it is a finding.
func (r *Reader) Audit(ctx context.Context, from, to int64, passed func(windows, all int64) error) (Frame, audit.Report, error) {
	f, err := r.Frame(ctx, from, to)
	if err != nil {
		return Frame{}, audit.Report{}, err
	}
	f.To = max(f.From, min(f.To, calendar.Floor(max(f.CompleteUntil, f.From), r.window)))
	if f.Held() {
		f.To = max(f.From, f.held.From)
	}
	var fold audit.Fold
	for at := f.From; at < f.To; {
		until := min(at+auditSpan*r.window, f.To)
		read, err := r.settled(ctx, at, until)
		if err != nil {
			return Frame{}, audit.Report{}, err
		}
		for _, w := range read {
			fold.Add(w)
		}
		if err := passed((until-f.From)/r.window, (f.To-f.From)/r.window); err != nil {
			return Frame{}, audit.Report{}, err
		}
		at = until
	}
	found, err := copies.Find(ctx, r.store, f.From, f.To, func() error { return passed((f.To-f.From)/r.window, (f.To-f.From)/r.window) })
	if err != nil {
		return Frame{}, audit.Report{}, err
	}
	for _, p := range found.Parts() {
		for _, o := range found.Odd[p] {
			fold.Copy(p.Start, p.Series, o.Ad, o.ByAd, o.ByWindow)
		}
	}
	for _, p := range found.Rest {
		fold.Copies(p.Start, p.Series)
	}
	return f, fold.Report(), nil
}

// settled reads windows until they agree, or long enough.
func (r *Reader) settled(ctx context.Context, from, to int64) ([]*audit.Window, error) {
	for try := 1; ; try++ {
		windows, err := r.stored(ctx, from, to)
		if err != nil || try == auditTries || !slices.ContainsFunc(windows, func(w *audit.Window) bool { return !w.Agrees() }) {
			return windows, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(auditPatience):
		}
	}
}

// stored reads what is stored of windows under all filters: first under 000, in the order of
// time.
func (r *Reader) stored(ctx context.Context, from, to int64) ([]*audit.Window, error) {
	windows, err := r.under(ctx, click.FilterAll, from, to)
	if err != nil {
		return nil, err
	}
	for _, w := range windows {
		switch l, ok, err := r.store.Lineage(ctx, w.Start); {
		case err != nil:
			return nil, fmt.Errorf("read lineage: %w", err)
		case ok:
			w.Lineage = &l
		}
	}
	table, err := r.store.Filters(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the filter table: %w", err)
	}
	last := ""
	for i := range table { // in the order of identifiers
		f := &table[i]
		if f.ID == last || f.From >= to || f.Until != click.None && f.Until <= from {
			continue
		}
		last = f.ID
		more, err := r.under(ctx, f.ID, from, to)
		if err != nil {
			return nil, err
		}
		windows = append(windows, more...)
	}
	return windows, nil
}

// under reads counts and lists of windows under one filter, in the order of time.
func (r *Reader) under(ctx context.Context, filter string, from, to int64) ([]*audit.Window, error) {
	at := map[int64]*audit.Window{}
	window := func(start int64) *audit.Window {
		w := at[start]
		if w == nil {
			w = &audit.Window{Start: start, Filter: filter}
			at[start] = w
		}
		return w
	}
	lists, err := r.store.Rankings(ctx, filter, from, to, storage.WholeList)
	if err != nil {
		return nil, fmt.Errorf("read ranked lists: %w", err)
	}
	for i := range lists {
		window(lists[i].Start).List = &lists[i]
	}
	if err := r.Scan(ctx, filter, Frame{From: from, To: to}, func(c *storage.Cell) error {
		w := window(c.Start)
		w.Clicks += c.Count
		w.Ads++
		if !c.Whole().Ended() {
			w.Open++
		}
		return nil
	}); err != nil {
		return nil, err
	}
	windows := slices.Collect(maps.Values(at))
	slices.SortFunc(windows, func(a, b *audit.Window) int { return cmp.Compare(a.Start, b.Start) })
	return windows, nil
}
