package reconcile

import (
	"context"

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
		if d.Kind == Rollup || d.Kind == Count && !d.WithoutLate().Holds() {
			known[d.key()] = d
		}
	}
	for _, p := range found.Parts() {
		if known[key{part{p.Start, p.Series}, ""}] != nil {
			continue // an hour that is to be made anew, with both copies
		}
		for _, o := range found.Odd[p] {
			row := cause.Row{Stored: o.ByAd, Raw: o.ByWindow}
			if d := known[key{part{p.Start, p.Series}, o.Ad}]; d != nil {
				row.Raw, row.Late = d.Raw, d.Late
			}
			if !row.Holds() && !row.WithoutLate().Holds() {
				clicks := max(1, row.Stored.Count-row.Raw.Count, row.Raw.Count-row.Stored.Count)
				c.find(copyOf(p, o.Ad, row, cause.Part{Cause: cause.WrongCopy, Clicks: clicks}))
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

// rolled tells whether the difference is one of an hour or a day.
func (d *Difference) rolled() bool { return d.Filter != d.window.filter }
