package correct

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/copies"
	"github.com/clickagg/clickagg/internal/rank"
	"github.com/clickagg/clickagg/storage"
)

// Row is a count as it is stored.
type Row struct {
	click.Row
	click.Standing
}

// Stored is what a store has of one window, which is closed for good, under one filter.
type Stored struct {
	Rows     []Row          // counts, in the order of their ads' bytes
	Revision int64          // the greatest of any of them, of their copies and of the list; 0 without any
	List     *click.Ranking // nil when there is none
	// Copies are what questions about one ad are answered from, where they are not as in Rows.
	Copies map[string]click.Count
	Unsure bool // any of Rows may have such a copy
}

// Counts are the counts alone.
func (w *Stored) Counts() []click.Row {
	counts := make([]click.Row, len(w.Rows))
	for i := range w.Rows {
		counts[i] = w.Rows[i].Row
	}
	return counts
}

// Note takes in what copies were found to be other than what was read. Ads that only they have get a row of 0.
func (w *Stored) Note(series string, start int64, found *copies.Found) {
	part := copies.Part{Start: start, Series: series}
	_, w.Unsure = slices.BinarySearchFunc(found.Rest, part, copies.Part.Compare)
	w.Copies = map[string]click.Count{}
	read := w.Rows
	for _, o := range found.Odd[part] {
		w.Copies[o.Ad] = o.ByAd
		w.Revision = max(w.Revision, o.ByAd.Revision)
		if _, there := slices.BinarySearchFunc(read, []byte(o.Ad), byAd); !there {
			w.Rows = append(w.Rows, Row{Row: click.Row{Ad: []byte(o.Ad)}})
		}
	}
	slices.SortFunc(w.Rows, func(a, b Row) int { return bytes.Compare(a.Ad, b.Ad) })
}

func byAd(r Row, ad []byte) int { return bytes.Compare(r.Ad, ad) }

// answered is what a question about the ad of a row is answered from, and whether that is as it can be where the
// row is right: of the same state and revision, and those are ones that a closed window has.
func (w *Stored) answered(r *Row) (click.Sum, bool) {
	right := r.Count == 0 || r.Ended()
	if c, odd := w.Copies[string(r.Ad)]; odd {
		return c.Sum, right && c.Standing == r.Standing
	}
	return r.Sum(), right
}

// Read reads what is stored of the window that starts at a time.
func Read(ctx context.Context, s storage.Store, filter string, start, size int64) (Stored, error) {
	var w Stored
	lists, err := s.Rankings(ctx, filter, start, start+size, storage.WholeList)
	if err != nil {
		return Stored{}, fmt.Errorf("read ranked list: %w", err)
	}
	if len(lists) > 0 {
		w.List, w.Revision = &lists[0], lists[0].Revision
	}
	err = s.Scan(ctx, filter, start, start+size, func(c *storage.Cell) error {
		w.Rows = append(w.Rows, Row{click.Row{Ad: bytes.Clone(c.Ad), Count: c.Count, Digest: c.Digest}, c.Whole().Standing})
		w.Revision = max(w.Revision, c.Revision)
		return nil
	})
	if err != nil {
		return Stored{}, fmt.Errorf("scan counts: %w", err)
	}
	return w, nil
}

// Change is one count that should be another, is of other clicks than it should be, or is right but for its state
// or revision.
type Change struct {
	Ad                   []byte
	Old, New             int64  // 0 without a click
	OldDigest, NewDigest uint64 // see [click.Sum]
}

// same tells whether two counts are of the same clicks, as far as that is known.
func same(a, b click.Sum) bool {
	return a.Count == b.Count && (a.Digest == b.Digest || !a.Known() || !b.Known())
}

// Diff is what must change of one window under one filter.
type Diff struct {
	Start, Size int64 // Unix ms
	Filter      string
	Changes     []Change // in the order of ads' bytes
	// List: the ranked list, or the sums beside it, are not those of the counts as they will
	// be. It is always so where a count changes.
	List      bool
	Revision  int64 // of what changes, above all that there were: at least 2, as what was not stored was final too
	OldClicks int64 // as stored
	Clicks    int64 // as they will be
	Ads       int64
	Top       []click.Row // of the first of them, with their digests
}

// None tells whether nothing must change.
func (d *Diff) None() bool { return len(d.Changes) == 0 && !d.List }

// Compare says how a window that is stored must change to have the counts that it should,
// which are in the order of ads' bytes. A list has top ads, or as many as the stored one. With ads, in
// the order of their bytes, all others stay as they are.
func Compare(start, size int64, filter string, stored *Stored, counted []click.Row, top int, ads []string) Diff {
	d := Diff{Start: start, Size: size, Filter: filter, Revision: max(stored.Revision, 1) + 1}
	if stored.List != nil {
		top = max(top, len(stored.List.Top))
	}
	best := rank.NewFirst(max(top, 1))
	each(stored.Rows, counted, func(ad []byte, row *Row, now click.Sum) {
		old := row.Sum()
		if !among(ads, ad) {
			now = old
		} else if was, right := stored.answered(row); stored.Unsure || !right || !same(old, now) || !same(was, now) {
			if !same(old, now) {
				was = old
			}
			d.Changes = append(d.Changes, Change{Ad: ad, Old: was.Count, New: now.Count, OldDigest: was.Digest, NewDigest: now.Digest})
		}
		d.OldClicks += old.Count
		if now.Count > 0 {
			d.Clicks += now.Count
			d.Ads++
			best.Add(click.Row{Ad: ad, Count: now.Count, Digest: now.Digest})
		}
	})
	d.Top = best.Sorted()
	d.List = !d.lists(stored.List)
	return d
}

// each walks over what is stored and what should be, both in the order of ads' bytes.
func each(old []Row, now []click.Row, f func(ad []byte, old *Row, now click.Sum)) {
	for len(old) > 0 || len(now) > 0 {
		order := len(now) - len(old) // when one has no more, the other's is next
		if len(old) > 0 && len(now) > 0 {
			order = bytes.Compare(old[0].Ad, now[0].Ad)
		}
		var was Row
		var is click.Row
		if order <= 0 && len(old) > 0 {
			was, old = old[0], old[1:]
		}
		if order >= 0 && len(now) > 0 {
			is, now = now[0], now[1:]
		}
		ad := was.Ad
		if ad == nil {
			ad = is.Ad
		}
		f(ad, &was, is.Sum())
	}
}

func among(ads []string, ad []byte) bool {
	if len(ads) == 0 {
		return true
	}
	_, ok := slices.BinarySearch(ads, string(ad))
	return ok
}

// lists tells whether a list is that of the counts as they will be. It may be shorter than it could be.
func (d *Diff) lists(l *click.Ranking) bool {
	if l == nil {
		return d.Ads == 0
	}
	return l.State != click.Provisional && l.Clicks == d.Clicks && l.Ads == d.Ads && (len(l.Top) > 0 || d.Ads == 0) && len(l.Top) <= len(d.Top) &&
		slices.EqualFunc(l.Top, d.Top[:len(l.Top)], func(a, b click.Row) bool { return a.Count == b.Count && bytes.Equal(a.Ad, b.Ad) })
}
