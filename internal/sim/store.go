package sim

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

type cellKey struct {
	filter, ad string
	start      int64
}

func cellOf(r *click.Result) cellKey { return cellKey{r.Filter, string(r.Ad), r.Start} }

type listKey struct {
	filter string
	start  int64
}

// database is the store all writers share. It watches every write: what it sees
// is what a reader could have seen.
type database struct {
	cells    map[cellKey]click.Result
	rankings map[listKey]click.Ranking
	lineages map[int64]click.Lineage
	marks    map[[2]int32]storage.Mark
	fault    error            // first broken promise
	naive    bool             // planted fault: the last write wins, whatever its version
	adds     bool             // planted fault: counts are added up
	stale    bool             // planted fault: a newer row leaves the digest as it is
	spoilt   map[cellKey]bool // what is not as it was stored
	released func()           // a correction is said to be done
}

func newDatabase() *database {
	return &database{
		cells: map[cellKey]click.Result{}, rankings: map[listKey]click.Ranking{}, lineages: map[int64]click.Lineage{},
		marks: map[[2]int32]storage.Mark{}, spoilt: map[cellKey]bool{},
	}
}

func (d *database) broken(format string, args ...any) {
	if d.fault == nil {
		d.fault = fmt.Errorf(format, args...)
	}
}

func (d *database) put(r *click.Result) {
	k := cellOf(r)
	old, ok := d.cells[k]
	if ok && !d.naive && !d.adds {
		switch {
		case r.Version < old.Version:
			return
		case r.Version == old.Version:
			if !d.spoilt[k] && (r.Sum() != old.Sum() || r.Revision != old.Revision || r.State != old.State) {
				d.broken("P3: %v of %s at %d has version %d twice: %+v and %+v", k.ad, r.State, k.start, r.Version, old.Sum(), r.Sum())
			}
			return
		}
	}
	if ok && (old.Count > 0 || !d.spoilt[k]) {
		d.judge(k, &old, r)
	}
	delete(d.spoilt, k)
	complete, closed := d.until()
	if r.Count != old.Count && r.State != click.Corrected && r.Start+r.Size <= complete {
		d.broken("P2: %s at %d became %d though the minute was said to be complete", k.ad, k.start, r.Count)
	}
	if held := d.held(); r.Sum() != old.Sum() && r.Start+r.Size <= closed && !held.Holds(r.Start, r.Start+r.Size) {
		d.broken("P2: %s at %d became %d though the minute was said to be closed for good", k.ad, k.start, r.Count)
	}
	now := *r
	now.Ad = bytes.Clone(r.Ad)
	if d.adds {
		now.Count += old.Count
	}
	if d.stale && ok {
		now.Digest = old.Digest
	}
	d.cells[k] = now
}

// judge compares what a reader saw before with what it sees now.
func (d *database) judge(k cellKey, old, now *click.Result) {
	switch {
	case now.Revision < old.Revision:
		d.broken("P2: %s at %d went from revision %d back to %d", k.ad, k.start, old.Revision, now.Revision)
	case now.Revision > old.Revision:
	case old.State != click.Provisional && (now.Count != old.Count || now.State == click.Provisional):
		d.broken("P2: %s at %d was %s with %d and became %s with %d without a new revision", k.ad, k.start, old.State, old.Count, now.State, now.Count)
	case now.Count < old.Count:
		d.broken("P2: %s at %d fell from %d to %d", k.ad, k.start, old.Count, now.Count)
	}
}

func (d *database) apply(b *storage.Batch) {
	for i := range b.Results {
		d.put(&b.Results[i])
	}
	for i := range b.Rankings {
		r := b.Rankings[i]
		if k := (listKey{r.Filter, r.Start}); r.Version > d.rankings[k].Version || d.naive {
			r.Top = slices.Clone(r.Top)
			d.rankings[k] = r
		}
	}
	for i := range b.Lineages {
		d.trace(&b.Lineages[i])
	}
	before := d.held()
	for _, m := range b.Marks {
		k := [2]int32{m.Partition, m.Reducer}
		now, ok := d.marks[k]
		if !ok || m.Watermark > now.Watermark {
			now.Partition, now.Partitions, now.Reducer, now.Reducers = m.Partition, m.Partitions, m.Reducer, m.Reducers
			now.Watermark, now.Closed = m.Watermark, m.Closed
		}
		if m.Hold.Number > now.Hold.Number || m.Hold.Number == now.Hold.Number && m.Hold.Done {
			now.Hold = m.Hold
		}
		d.marks[k] = now
	}
	if now := d.held(); before.From < before.To && now.From == now.To {
		d.released()
	}
}

// trace looks at what a window is said to be made of.
func (d *database) trace(l *click.Lineage) {
	old := d.lineages[l.Start]
	if l.Version == old.Version && !bytes.Equal(l.AppendJSON(nil), old.AppendJSON(nil)) {
		d.broken("P3: the lineage of %d has version %d twice: %+v and %+v", l.Start, l.Version, old, *l)
	}
	for _, o := range l.Sources {
		if !o.Holds() || o.Settled > o.Heard {
			d.broken("P5: the lineage of %d does not add up: %+v", l.Start, o)
		}
	}
	if l.Version > old.Version {
		d.lineages[l.Start] = *l
	}
}

// until is what the marks say is complete, and closed.
func (d *database) until() (complete, closed int64) {
	return storage.Until(slices.Collect(maps.Values(d.marks)))
}

// client is the store as one process sees it. Only what processes of a history ask is
// simulated; the questions have tests of their own.
type client struct {
	p *proc
	storage.Store
}

// ID implements storage.Store.
func (c client) ID() string { return "sim" }

// Marks implements storage.Store: it may be away.
func (c client) Marks(ctx context.Context) ([]storage.Mark, error) {
	w := c.p.w
	if err := c.away(ctx); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(w.db.marks)), nil
}

// Apply implements storage.Store: it may be away, it may apply and not say so.
func (c client) Apply(ctx context.Context, b *storage.Batch) error {
	w := c.p.w
	c.p.pass()
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.weather.oneIn(w, w.weather.away, "the store is away") {
		if w.choose(2, "and yet it applied the batch") == 1 {
			w.db.apply(b)
		}
		return storage.ErrUnavailable
	}
	w.db.apply(b)
	c.p.pass()
	return nil
}
