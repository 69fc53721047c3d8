package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
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
	late          []recount.Judged      // of the same, that came too late
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
	if err := c.reread(ctx); err != nil {
		return err
	}
	for _, d := range c.found {
		if d.Parts == nil && d.wrong() {
			n.ads[d.Ad], n.clicks[d.key()] = true, nil
			from, to = min(from, d.Start), max(to, d.Start+c.Size)
		}
	}
	if from < to {
		_, err := c.Clicks.Recount(ctx, recount.Range{From: from, To: to}, recount.Options{Source: c.q.Source, Late: true, Gathered: c.late, Witness: n.take}, watch,
			func(*recount.Window) error { return nil })
		if err != nil {
			return err
		}
		n.latecomers()
	}
	for _, d := range c.found {
		if d.Parts == nil && !d.Holds() {
			d.Parts = cause.Explain(d.Row, n.clicks[d.key()])
		}
		if d.open {
			d.Parts = append(d.Parts, cause.Part{Cause: cause.WrongState})
		}
	}
	return nil
}

func (d *Difference) key() key { return key{part{d.Start, d.Filter}, d.Ad} }

// reread reads once more what differs, window by window.
func (c *run) reread(ctx context.Context) error {
	if err := c.relist(ctx); err != nil {
		return err
	}
	for rest := c.found; len(rest) > 0; {
		p := rest[0].window
		n := slices.IndexFunc(rest, func(d *Difference) bool { return d.window != p })
		if n < 0 {
			n = len(rest)
		}
		wrong := map[string]*Difference{}
		for _, d := range rest[:n] {
			if d.wrong() || d.Kind == Count && d.open {
				wrong[d.Ad] = d
			}
		}
		if rest = rest[n:]; len(wrong) == 0 {
			continue
		}
		now := map[string]storage.Cell{} // what was taken away has no cell
		err := c.Store.Scan(ctx, p.filter, p.start, p.start+c.Size, func(cell *storage.Cell) error {
			if wrong[string(cell.Ad)] != nil {
				now[string(cell.Ad)] = *cell
			}
			return nil
		})
		if err = errors.Join(err, c.tick()); err != nil {
			return fmt.Errorf("read counts: %w", err)
		}
		for ad, d := range wrong {
			cell := now[ad]
			d.superseded(cell.Sum(), open(&cell))
		}
	}
	return nil
}

// relist reads the lists once more whose state or revision is none of what has ended, and lets go of those that have become so:
// lists come to the store by another way than counts, so one may follow a moment later.
func (c *run) relist(ctx context.Context) (err error) {
	c.found = slices.DeleteFunc(c.found, func(d *Difference) bool {
		if err != nil || d.Kind != List || !d.open {
			return false
		}
		var l *list
		if l, err = c.list(ctx, d.Filter, d.Start); err != nil {
			return false
		}
		return l.ended()
	})
	return err
}

// superseded takes what is stored now. If it was put right since it was compared, that is its cause. If it has become
// another and is as wrong, it is looked into as it is now.
func (d *Difference) superseded(now click.Sum, open bool) {
	old, was := d.Stored, d.open
	d.Stored, d.open = now, open
	if (now != old || was) && !open && !d.wrong() {
		d.Stored = old
		d.Parts = []cause.Part{{Cause: cause.Superseded, Clicks: max(1, now.Count-old.Count, old.Count-now.Count)}}
	}
}

// take is told of a click, and keeps it if it has to do with a wanted count.
func (n *near) take(j *recount.Judged) {
	if !n.ads[string(j.Click.Ad)] || n.n == clicksMost {
		return
	}
	n.n++
	why := cause.Cause(0)
	switch j.Kind {
	case rule.Late: // what it repeats is told of later
		c := *j.Click
		c.Ad = bytes.Clone(c.Ad)
		n.late = append(n.late, recount.Judged{Source: j.Source, Append: j.Append, Click: &c})
		return
	case rule.Rejected:
		why = cause.Rejected
	case rule.Routed:
		why = n.repeats(j.Click)
	}
	n.note(j, why)
}

// latecomers notes the clicks that came too late, in the order in which they came, when all others are known: those that
// repeat one would not be counted either if they had come in time.
func (n *near) latecomers() {
	slices.SortStableFunc(n.late, func(a, b recount.Judged) int { return cmp.Compare(a.Append, b.Append) })
	for i := range n.late {
		why := n.repeats(n.late[i].Click)
		if why == 0 {
			why = cause.Late
		}
		n.note(&n.late[i], why)
	}
}

// note keeps a click under all filters.
func (n *near) note(j *recount.Judged, why cause.Cause) {
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

// repeats tells how a click repeats one before it: valid clicks come in the order in which they are counted.
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
