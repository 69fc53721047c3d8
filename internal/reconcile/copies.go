package reconcile

import (
	"context"
	"fmt"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/copies"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/storage"
)

// copies compares what questions about one ad are answered from with what was compared with the records, where the
// store keeps both. What was found to be wrong in the windows is no measure: there the records are.
func (c *run) copies(ctx context.Context) error {
	found, err := copies.Find(ctx, c.Store, c.report.From, c.report.To, c.tick)
	if err != nil {
		return err
	}
	known := map[key]*Difference{}
	for _, d := range c.found {
		if d.Kind == Rollup || d.wrong() {
			known[d.key()] = d
		}
	}
	for _, p := range found.Parts() {
		if known[key{part{p.Start, p.Series}, ""}] != nil {
			continue // an hour that is to be made anew, with both copies
		}
		for _, o := range found.Odd[p] {
			row := cause.Row{Stored: o.ByAd.Sum, Raw: o.ByWindow.Sum}
			d := known[key{part{p.Start, p.Series}, o.Ad}]
			if d != nil {
				row.Raw, row.Late = d.Raw, d.Late
			}
			switch {
			case !row.Holds() && !row.WithoutLate().Holds():
				clicks := max(1, row.Stored.Count-row.Raw.Count, row.Raw.Count-row.Stored.Count)
				c.find(copyOf(p, o.Ad, row, cause.Part{Cause: cause.WrongCopy, Clicks: clicks}))
			case d == nil && o.ByAd.Sum == o.ByWindow.Sum:
				c.find(copyOf(p, o.Ad, row, cause.Part{Cause: cause.WrongState}))
			}
		}
	}
	for _, p := range found.Moving {
		c.find(copyOf(p, "", cause.Row{}, cause.Part{Cause: cause.Superseded}))
	}
	for _, p := range found.Rest {
		c.leftOut(p.Start)
	}
	return nil
}

// copyOf is a difference of a count's copy.
func copyOf(p copies.Part, ad string, row cause.Row, why cause.Part) Difference {
	return Difference{Kind: Copy, Start: p.Start, Filter: p.Series, Ad: ad, Row: row, Parts: []cause.Part{why}, window: part{p.Start, storage.FilterOf(p.Series)}}
}

// clear takes ads without a click out of the hours and days that questions about one ad are answered from. Whoever adds
// these up meets only ads that the windows have, or an hour read window by window. What is written is nothing, as the
// version after the one that is there, which is before any that an hour or a day that is added up again can have.
func (w *repair) clear(ctx context.Context) error {
	for _, p := range w.copies.Parts() {
		if u, _ := storage.UnitOf(p.Series); u == storage.Window {
			continue
		}
		for _, o := range w.copies.Odd[p] {
			if err := w.clearOne(ctx, p, []byte(o.Ad)); err != nil {
				return fmt.Errorf("clear hours and days: %w", err)
			}
		}
	}
	return nil
}

// dayMost is how long a day is at most, ms.
const dayMost = 26 * calendar.HourMS

func (w *repair) clearOne(ctx context.Context, p copies.Part, ad []byte) error {
	rolled, err := w.Store.Rollups(ctx, p.Series, p.Start, p.Start+dayMost)
	if err != nil || len(rolled) == 0 || rolled[0].Start != p.Start {
		return err
	}
	there, err := w.Store.Count(ctx, p.Series, ad, p.Start, p.Start+1)
	if err != nil || len(there) == 0 {
		return err
	}
	if clicks, err := w.Store.Count(ctx, storage.FilterOf(p.Series), ad, p.Start, rolled[0].End); len(clicks) > 0 || err != nil {
		return err // it will be added up
	}
	return w.Store.Apply(ctx, &storage.Batch{Results: []click.Result{{
		Ad: ad, Start: p.Start, Size: rolled[0].End - p.Start, Filter: p.Series,
		Revision: there[0].Revision, State: click.Corrected, Version: there[0].Version + 1,
	}}})
}

// rolled tells whether the difference is one of an hour or a day.
func (d *Difference) rolled() bool { return d.Filter != d.window.filter }
