package merge

import "github.com/clickagg/clickagg/internal/click"

// Correct takes one record of the partials partition that is a correction. It never
// fails: what cannot be taken is passed over and counted, as nobody may stall a reducer with it.
//
// A hold begins when its windows are closed for good here and its number is above
// all before it. Changes are taken while their hold is open, of windows of this reducer within
// it. So who was frozen while another finished its work says nothing any more, and the
// order of records alone decides.
func (r *Reducer) Correct(offset int64, c *click.Correction) {
	r.step(offset)
	switch open := r.hold.Number == c.Number && !r.hold.Done; {
	case c.Step == click.Begin && c.Number > r.hold.Number && c.To <= r.gone:
		r.hold = click.Hold{Number: c.Number, From: c.From, To: c.To}
		r.out.Holds = append(r.out.Holds, r.hold)
	case c.Step == click.End && open:
		r.hold.Done = true
		r.out.Holds = append(r.out.Holds, r.hold)
	case c.Step == click.Change && open && r.takes(c):
		r.change(c)
	case c.Step == click.Change || !open && r.hold.Number < c.Number:
		r.passed++ // the beginning or the end of a hold may well be said twice
	}
}

// Pass passes over a record that is meant as a correction and cannot be read.
func (r *Reducer) Pass(offset int64) {
	r.step(offset)
	r.passed++
}

// takes tells whether a change is one of this reducer's windows within the hold.
func (r *Reducer) takes(c *click.Correction) bool {
	k := key{start: c.From, size: c.To - c.From}
	return k.valid() && c.From >= r.hold.From && c.To <= r.hold.To && ordered(c.Top) &&
		c.Filter != "" && r.cfg.Reducer == click.ReducerOf(c.From/k.size, r.cfg.Reducers)
}

// change lets out what a correction says of a window.
func (r *Reducer) change(c *click.Correction) {
	size := c.To - c.From
	for i := range c.Rows {
		r.out.Results = append(r.out.Results, click.Result{
			Ad: c.Rows[i].Ad, Start: c.From, Size: size, Filter: c.Filter,
			Count: c.Rows[i].Count, Digest: c.Rows[i].Digest, Revision: c.Revision, State: click.Corrected, Version: r.position,
		})
	}
	if !c.Last {
		return
	}
	from := len(r.rows)
	r.rows, r.ads = copyRows(r.rows, r.ads, c.Top)
	r.out.Rankings = append(r.out.Rankings, click.Ranking{
		Start: c.From, Size: size, Filter: c.Filter, State: click.Corrected, Revision: c.Revision, Version: r.position,
		Clicks: c.Clicks, Ads: c.Ads, Top: r.rows[from:len(r.rows):len(r.rows)],
	})
	r.trace(c.From, size, click.Corrected, c.Number)
}
