package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/storage"
)

// fold is all counts under a filter in one number: the sum of every count times the hash of its ad. It is
// linear, so the folds of windows add up to that of their hour. So are the corrections, of which an hour has those of
// all its windows.
type fold struct {
	clicks      int64
	hash        uint64
	corrections uint64
}

func (f *fold) add(c *storage.Cell) {
	h := click.HashAd(c.Ad, 0)
	f.clicks += c.Count
	f.hash += h * uint64(c.Count)
	f.corrections += h * uint64(c.Revision-1)
}

// counts is the fold without corrections.
func (f fold) counts() fold { return fold{clicks: f.clicks, hash: f.hash} }

// compare merges what is stored of a window under a filter with what was counted again.
func (c *run) compare(ctx context.Context, w *recount.Window) error {
	list, err := c.list(ctx, w.Filter, w.Start)
	if err != nil {
		return err
	}
	rows, late := w.Rows, w.Late
	// before takes the recounted rows of ads that come before one, or of all ads.
	before := func(ad []byte) {
		for {
			first := lesser(rows, late)
			if first == nil || ad != nil && bytes.Compare(first, ad) >= 0 {
				return
			}
			c.row(w, first, &storage.Cell{}, takeAd(&rows, first), takeAd(&late, first))
		}
	}
	c.report.Raw += over(w.Rows)
	var sum fold
	err = c.Store.Scan(ctx, w.Filter, w.Start, w.Start+c.Size, func(cell *storage.Cell) error {
		before(cell.Ad)
		sum.add(cell)
		list.add(cell)
		c.row(w, cell.Ad, cell, takeAd(&rows, cell.Ad), takeAd(&late, cell.Ad))
		return nil
	})
	if err != nil {
		return fmt.Errorf("read counts: %w", err)
	}
	before(nil)
	c.report.Stored += sum.clicks
	if sum != (fold{}) {
		c.folds[part{w.Start, w.Filter}] = sum
	}
	// A list of the right counts is not to blame for counts beside it that are wrong.
	d := Difference{Kind: List, Start: w.Start, Filter: w.Filter, window: part{w.Start, w.Filter}}
	switch p := d.window; {
	case !list.holds() && (!c.wrong[p] || !list.of(w.Rows) && !list.of(Whole(w))):
		d.Parts = []cause.Part{{Cause: cause.WrongList}}
		c.find(d)
	case !list.ended():
		d.open = true
		c.find(d)
	}
	return nil
}

// Whole is all clicks of a window, with those that came too late.
func Whole(w *recount.Window) (all []click.Row) {
	rows, late := w.Rows, w.Late
	for first := lesser(rows, late); first != nil; first = lesser(rows, late) {
		sum := takeAd(&rows, first)
		sum.Add(takeAd(&late, first))
		all = append(all, click.Row{Ad: first, Count: sum.Count, Digest: sum.Digest})
	}
	return all
}

// lesser is the first ad of two lists.
func lesser(a, b []click.Row) []byte {
	switch {
	case len(a) == 0 && len(b) == 0:
		return nil
	case len(b) == 0 || len(a) > 0 && bytes.Compare(a[0].Ad, b[0].Ad) <= 0:
		return a[0].Ad
	}
	return b[0].Ad
}

// takeAd takes the row of an ad off the front of a list, if it is there.
func takeAd(rows *[]click.Row, ad []byte) (s click.Sum) {
	if len(*rows) > 0 && bytes.Equal((*rows)[0].Ad, ad) {
		s = (*rows)[0].Sum()
		*rows = (*rows)[1:]
	}
	return s
}

// row compares one count.
func (c *run) row(w *recount.Window, ad []byte, cell *storage.Cell, raw, late click.Sum) {
	c.report.Rows++
	d := Difference{
		Kind: Count, Start: w.Start, Filter: w.Filter, Ad: string(ad), Row: cause.Row{Stored: cell.Sum(), Raw: raw, Late: late},
		open: open(cell), window: part{w.Start, w.Filter},
	}
	if d.wrong() {
		c.wrong[d.window] = true
	}
	if d.open || !d.Holds() {
		c.find(d)
	}
}

// open tells whether a count is as one of a window that has ended cannot be. One that is not there is not.
func open(c *storage.Cell) bool { return c.Count > 0 && !c.Whole().Ended() }

// list is a stored ranked list and what it must be by the counts beside it.
type list struct {
	stored      *click.Ranking // nil if there is none
	first       *rank.First
	clicks, ads int64
}

func (c *run) list(ctx context.Context, series string, start int64) (*list, error) {
	lists, err := c.Store.Rankings(ctx, series, start, start+1, storage.WholeList)
	if err != nil {
		return nil, fmt.Errorf("read ranked lists: %w", err)
	}
	if len(lists) == 0 {
		return newList(nil), nil
	}
	return newList(&lists[0]), nil
}

func newList(stored *click.Ranking) *list {
	l := &list{stored: stored, first: rank.NewFirst(1)}
	if stored != nil && len(stored.Top) > 0 {
		l.first = rank.NewFirst(len(stored.Top))
	}
	return l
}

// add takes a count.
func (l *list) add(c *storage.Cell) {
	l.clicks += c.Count
	l.ads++
	if row := (click.Row{Ad: c.Ad, Count: c.Count}); l.first.Takes(row) {
		row.Ad = bytes.Clone(row.Ad)
		l.first.Add(row)
	}
}

// of tells whether the stored list is that of some rows.
func (l *list) of(rows []click.Row) bool {
	other := newList(l.stored)
	for i := range rows {
		other.add(&storage.Cell{Ad: rows[i].Ad, Count: rows[i].Count})
	}
	return other.holds()
}

// ended tells whether the list can be one of a window that has ended. One that is not there can.
func (l *list) ended() bool {
	return l.stored == nil || click.Standing{State: l.stored.State, Revision: l.stored.Revision}.Ended()
}

// holds tells whether the stored list is that of the counts. How long it may be was up to whoever
// configured it then; but it is not empty when there is a count.
func (l *list) holds() bool {
	switch s := l.stored; {
	case s == nil:
		return l.ads == 0
	case l.ads == 0:
		return s.Clicks == 0 && s.Ads == 0 && len(s.Top) == 0
	default:
		return s.Clicks == l.clicks && s.Ads == l.ads && slices.EqualFunc(s.Top, l.first.Sorted(), func(a, b click.Row) bool {
			return rank.Order(a, b) == 0
		})
	}
}
