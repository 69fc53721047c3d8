package sim

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// read is somebody who asks for the clicks of an ad again and again, and takes answers that are
// called final at their word: P2.
func (w *world) read(ctx context.Context, p *proc) error {
	r := answer.New(w.mutant.questions(client{p: p}), time.Duration(w.cfg.size)*time.Millisecond)
	for ctx.Err() == nil {
		if err := (clock{p}).Sleep(ctx, time.Duration(1+w.choose(5_000, "until the next question"))*time.Millisecond); err != nil {
			return nil
		}
		if err := w.ask(ctx, r); err != nil && !errors.Is(err, storage.ErrUnavailable) && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (w *world) ask(ctx context.Context, r *answer.Reader) error {
	first, closed := w.db.span()
	if closed == click.None || len(w.db.cells) == 0 {
		return nil
	}
	q := question{"ad" + string(rune('0'+w.choose(5, "which ad"))), first, closed - closed%w.cfg.size}
	if n := int((q.to - q.from) / w.cfg.size); n > 1 {
		q.to -= int64(w.choose(min(n, 3), "until when")) * w.cfg.size
	}
	if q.from >= q.to {
		return nil
	}
	mine := &reading{question: q}
	if !w.held(q) {
		mine.may = append(mine.may, w.db.sum(q))
	}
	w.reading = append(w.reading, mine)
	damages := w.damages
	got, err := r.Count(ctx, click.FilterAll, []byte(q.ad), q.from, q.to)
	w.reading = slices.DeleteFunc(w.reading, func(r *reading) bool { return r == mine })
	if err != nil || !got.Final() || damages != w.damages {
		return err
	}
	w.finals++
	if !slices.Contains(mine.may, got.Clicks) {
		w.db.broken("P2: %v has %d clicks, which is called final; it had %v, and never that", q, got.Clicks, mine.may)
	}
	if old, ok := w.answers[q]; ok && old.clicks != got.Clicks && got.Revision <= old.revision {
		w.db.broken("P2: %v had %d clicks, called final, and now %d, with revision %d after %d", q, old.clicks, got.Clicks, got.Revision, old.revision)
	}
	w.answers[q] = asked{got.Clicks, got.Revision}
	return nil
}

// held tells whether a correction changes what a question is about.
func (w *world) held(q question) bool {
	h := w.db.held()
	return h.Holds(q.from, q.to)
}

// held is the time that is being corrected, as the marks say.
func (d *database) held() storage.Held {
	return storage.HeldBy(slices.Collect(maps.Values(d.marks)))
}

func (k cellKey) compare(o cellKey) int {
	return cmp.Or(cmp.Compare(k.start, o.start), strings.Compare(k.filter, o.filter), strings.Compare(k.ad, o.ad))
}

// away gives way to others, and tells whether the store can be reached then.
func (c client) away(ctx context.Context) error {
	c.p.pass()
	if err := ctx.Err(); err != nil {
		return err
	}
	if w := c.p.w; w.weather.oneIn(w, w.weather.away, "the store is away") {
		return storage.ErrUnavailable
	}
	return nil
}

// cells lists those with a click under a filter, in the order of a scan.
func (d *database) list(filter string, from, to int64) (keys []cellKey) {
	for k, c := range d.cells {
		if k.filter == filter && k.start >= from && k.start < to && c.Count > 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, cellKey.compare)
	return keys
}

func (d *database) cell(k cellKey) storage.Cell {
	r := d.cells[k]
	return storage.Cell{Ad: bytes.Clone(r.Ad), Start: r.Start, Count: r.Count, Digest: r.Digest, Revision: r.Revision, State: r.State, Version: r.Version}
}

// Count implements storage.Store. As in a cluster, cells are read one after the other.
func (c client) Count(ctx context.Context, filter string, ad []byte, from, to int64) (cells []storage.Cell, err error) {
	for _, k := range c.p.w.db.list(filter, from, to) {
		if k.ad != string(ad) {
			continue
		}
		if err := c.away(ctx); err != nil {
			return nil, err
		}
		if cell := c.p.w.db.cell(k); cell.Count > 0 {
			cells = append(cells, cell)
		}
	}
	return cells, nil
}

// Scan implements storage.Store.
func (c client) Scan(ctx context.Context, filter string, from, to int64, f func(*storage.Cell) error) error {
	if err := c.away(ctx); err != nil {
		return err
	}
	for _, k := range c.p.w.db.list(filter, from, to) {
		cell := c.p.w.db.cell(k)
		if err := f(&cell); err != nil {
			return err
		}
	}
	return nil
}

// Copies implements storage.Store: Count and Scan read the same cells.
func (client) Copies(context.Context, int64, int64, func(string, *storage.Cell) error) (bool, error) {
	return false, nil
}

// Rankings implements storage.Store.
func (c client) Rankings(ctx context.Context, filter string, from, to int64, _ int) (lists []click.Ranking, err error) {
	if err := c.away(ctx); err != nil {
		return nil, err
	}
	for k, r := range c.p.w.db.rankings {
		if k.filter == filter && k.start >= from && k.start < to {
			r.Top = slices.Clone(r.Top)
			lists = append(lists, r)
		}
	}
	slices.SortFunc(lists, func(a, b click.Ranking) int { return cmp.Compare(a.Start, b.Start) })
	return lists, nil
}

// Counted implements storage.Store.
func (c client) Counted(ctx context.Context) (filters []string, err error) {
	if err := c.away(ctx); err != nil {
		return nil, err
	}
	for k := range c.p.w.db.cells {
		filters = append(filters, k.filter)
	}
	slices.Sort(filters)
	return slices.Compact(filters), nil
}

// Touches implements storage.Store: nothing is rolled up here.
func (client) Touches(context.Context, int64, int64) ([]storage.Touch, error) { return nil, nil }

// Rollups implements storage.Store.
func (client) Rollups(context.Context, string, int64, int64) ([]storage.Rollup, error) {
	return nil, nil
}
