package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/mapper/rule"
)

// clicksMost is how many clicks near differences are held. What is beyond is not looked
// at, and fewer differences have their clicks named.
const clicksMost = 1 << 20

// key is one count.
type key struct {
	part
	ad string
}

// near gathers the clicks of some counts.
type near struct {
	size, horizon int64
	ads           map[string]bool
	clicks        map[key][]cause.Click // of the counts that are wanted
	seen          map[click.ID][]first
	n             int
}

// first is the click of several with one identity that counts.
type first struct {
	start int64
	check uint32
}

// explain reads the clicks near the differences again and names causes.
func (c *run) explain(ctx context.Context, watch func(done, total int64) error) error {
	n := near{size: c.Size, horizon: c.Horizon, ads: map[string]bool{}, clicks: map[key][]cause.Click{}, seen: map[click.ID][]first{}}
	from, to := c.report.To, c.report.From
	for _, d := range c.found {
		if d.Kind != Count || d.WithoutLate().Holds() {
			continue
		}
		if err := errors.Join(c.tick(), c.superseded(ctx, d)); err != nil {
			return err
		}
		if d.Parts == nil {
			n.ads[d.Ad], n.clicks[d.key()] = true, nil
			from, to = min(from, d.Start), max(to, d.Start+c.Size)
		}
	}
	if from < to {
		_, err := c.Clicks.Recount(ctx, recount.Range{From: from, To: to}, recount.Options{Source: c.q.Source, Late: true, Witness: n.take},
			watch, func(*recount.Window) error { return nil })
		if err != nil {
			return err
		}
	}
	for _, d := range c.found {
		if d.Parts == nil {
			d.Parts = cause.Explain(d.Row, n.clicks[d.key()])
		}
	}
	return nil
}

func (d *Difference) key() key { return key{part{d.Start, d.Filter}, d.Ad} }

// superseded tells of a count that was written anew since it was compared.
func (c *run) superseded(ctx context.Context, d *Difference) error {
	cells, err := c.Store.Count(ctx, d.Filter, []byte(d.Ad), d.Start, d.Start+c.Size)
	if err != nil {
		return fmt.Errorf("read counts: %w", err)
	}
	for i := range cells {
		if cells[i].Version > d.version && cells[i].Count != d.Stored.Count {
			size := max(cells[i].Count-d.Stored.Count, d.Stored.Count-cells[i].Count)
			d.Parts = []cause.Part{{Cause: cause.Superseded, Clicks: size}}
		}
	}
	return nil
}

// take is told of a click, and keeps it if it has to do with a wanted count.
func (n *near) take(j *recount.Judged) {
	if !n.ads[string(j.Click.Ad)] || n.n == clicksMost {
		return
	}
	n.n++
	why := cause.Cause(0)
	switch j.Kind {
	case rule.Late:
		why = cause.Late
	case rule.Rejected:
		why = cause.Rejected
	case rule.Routed:
		why = n.repeats(j.Click)
	}
	n.under(j, why, click.FilterAll)
	for i, filter := range j.Click.Filters {
		if j.Click.Mask>>i&1 == 1 {
			n.under(j, why, filter)
		}
	}
}

// under keeps the click under one filter.
func (n *near) under(j *recount.Judged, why cause.Cause, filter string) {
	c := j.Click
	k := key{part{c.Time - c.Time%n.size, filter}, string(c.Ad)}
	if list, wanted := n.clicks[k]; wanted {
		n.clicks[k] = append(list, cause.Click{Cause: why, Digest: c.ID.Digest(), Where: fmt.Sprintf("%s/%d", j.Source, c.Offset)})
	}
}

// repeats tells what a valid click repeats: clicks come in the order in which they are counted.
func (n *near) repeats(c *click.Routed) cause.Cause {
	start := c.Time - c.Time%n.size
	for _, f := range n.seen[c.ID] {
		switch d := start - f.start; {
		case d > n.horizon || -d > n.horizon:
		case f.check == c.Check:
			return cause.Duplicate
		default:
			return cause.Conflict
		}
	}
	n.seen[c.ID] = append(n.seen[c.ID], first{start, c.Check})
	return 0
}
