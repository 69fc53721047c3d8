package recount

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

const (
	// turnMost is the most that is read of one source at once: it bounds how far it gets ahead of the others.
	turnMost = 20_000
	// heldRecords is of how many records all sources together hold the clicks, which wait to be counted: some
	// 50 bytes each. Of many sources, so much less is read at once.
	heldRecords = 1 << 22
	// turnLeast is the least that is read at once, however many sources there are: to find the place again costs as much
	// as some hundred records do.
	turnLeast = 1_000
)

// yieldRecords is after how many records whoever reads lets others have the CPU: what counts
// live in the same process must not wait for it.
const yieldRecords = 128

// skew is by how much append times of one partition may fall: brokers' clocks differ.
const skew = 10_000

// source is one source partition being counted.
type source struct {
	reader    *reader
	next      int64
	done      bool
	watermark int64
	lane      *lane // nil when it is read turn by turn, as it is counted
}

// reader reads and judges one source partition. It belongs to one goroutine.
type reader struct {
	*plan
	name      click.Source
	first     int64 // offset the reading began at
	next, end int64
	whole     bool // nothing that could matter stood before first and is gone
	listens   bool // for what came too late; what is valid is left out

	least    *rule.Partition // judges from the least that event time can have been
	greatest *rule.Partition // and from the greatest; nil once that makes no difference
	click    click.Routed    // of the last record
}

// turn is what some records of a source came to.
type turn struct {
	next           int64 // the offset after them
	records        int64
	watermark      int64
	done           bool // no others of the source are wanted
	behind         bool // the source may still get some that are
	clicks, unsure int64
	holes          []hole
	missed         []missed
	list           click.Clicks // those that may count, or be repeated
	section        click.Section
	state          rule.State // of the judge from the least, after them
	err            error
}

// missed is a click that is not counted.
type missed struct {
	kind   rule.Kind
	by     int64 // ms by which a late one is late
	append int64
	click  click.Routed
}

// openAll opens sources, as many at once as there are workers.
func (p *plan) openAll(ctx context.Context, names []click.Source) ([]*source, error) {
	sources := make([]*source, len(names))
	open := func(ctx context.Context, i int) (err error) {
		if sources[i], err = p.open(ctx, names[i]); err != nil {
			return fmt.Errorf("recount: open %v: %w", names[i], err)
		}
		return nil
	}
	if p.rules.Workers == 0 {
		for i := range names {
			if err := open(ctx, i); err != nil {
				return nil, err
			}
		}
		return sources, nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.rules.Workers)
	for i := range names {
		g.Go(func() (err error) {
			defer caught(&err)
			return open(ctx, i)
		})
	}
	err := g.Wait()
	rethrow(err)
	return sources, err
}

// open finds where to begin: at the first record that was appended at a time or later.
func (p *plan) open(ctx context.Context, name click.Source) (*source, error) {
	start, end, err := p.in.Bounds(ctx, name)
	if err != nil {
		return nil, err
	}
	begin, err := p.in.Since(ctx, name, start, end, p.begins())
	if err != nil {
		return nil, err
	}
	now, until, err := p.in.Bounds(ctx, name)
	if err != nil {
		return nil, err
	}
	// What went while it was searched, the search did not see.
	r := &reader{plan: p, name: name, first: begin, next: begin, end: max(begin, end), whole: now == start && until >= end && (begin > start || start == 0)}
	state := rule.NewState(begin)
	state.Live = p.rules.Live(name.ID)
	rec, ok, err := first(ctx, p.in.Read, name, begin, end)
	if err != nil {
		return nil, err
	}
	if begin > 0 && ok {
		state.Seen, state.LastAppend = rec.Append, rec.Append
		r.greatest = rule.NewPartition(p.config(name), name, state)
		state.Seen = 0
	}
	r.least = rule.NewPartition(p.config(name), name, state)
	r.least.Filter(p.rules.Filters)
	return &source{reader: r, next: begin, watermark: click.None}, nil
}

// fill reads and judges the records of the next turn.
func (r *reader) fill(ctx context.Context, t *turn) error {
	r.begin(t)
	err := r.in.Read(ctx, r.name, r.next, r.end, func(rec *click.Record) error {
		if r.take(t, rec) {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	r.seal(t, err == nil)
	return nil
}

// begin makes a turn an empty one.
func (r *reader) begin(t *turn) {
	*t = turn{holes: t.holes[:0], missed: t.missed[:0], list: t.list}
	t.list.Reset(r.next)
}

// take judges a record, and tells whether it is the last that the turn has room for.
func (r *reader) take(t *turn, rec *click.Record) (full bool) {
	if r.listens {
		r.listen(t, rec)
	} else {
		r.judge(t, rec)
	}
	r.next = rec.Offset + 1
	if t.records++; t.records%yieldRecords == 0 {
		runtime.Gosched()
	}
	return t.records == r.turn || len(t.missed)+len(t.holes) == turnLeast // these take more than clicks do
}

// seal says what the records of a turn came to; all tells that there are no more.
func (r *reader) seal(t *turn, all bool) {
	idle := int64(click.None)
	if all {
		r.next, t.done, idle = r.end, true, r.in.AsOf()
	}
	t.next = r.next
	t.section = r.least.Seal(r.next, click.None, idle, r.sources)[0]
	t.section.Clicks = t.list.Walk(t.section.Start)
	if r.greatest != nil {
		r.greatest.Seal(r.next, click.None, idle, r.sources)
		if sameJudge(r.least.State(), r.greatest.State()) {
			r.greatest = nil
		}
	}
	t.watermark, t.state = t.section.Watermark, r.least.State()
	if r.listens {
		return
	}
	t.behind = all && idle == click.None && t.watermark < r.span.To
	t.done = t.done || t.section.Closed >= r.span.To+r.hold
}

// judge judges a record, and takes in a click unless it neither is in the range nor can be repeated in it.
func (r *reader) judge(t *turn, rec *click.Record) {
	c, horizon := &r.click, r.rules.Judge.Rules.Horizon
	v := r.least.Take(rec, c)
	unsure := r.greatest != nil && r.greatest.Pass(rec).Kind != v.Kind
	if v.Kind == rule.Routed && c.Time >= r.span.From-horizon && c.Time < r.span.To+horizon {
		if unsure {
			t.unsure++
		}
		if c.Time >= r.span.From && c.Time < r.span.To {
			t.clicks++
		}
		t.list.Add(c)
	}
	if r.next < rec.Offset && r.rules.Hole != nil {
		t.holes = append(t.holes, hole{r.name, r.next, rec.Offset})
	}
}

// listen judges a record, and takes in a click of the range that is not counted.
func (r *reader) listen(t *turn, rec *click.Record) {
	v := r.least.Pass(rec)
	if v.Kind != rule.Late && (v.Kind != rule.Rejected || v.Reason != click.Ahead) {
		return
	}
	c, ok := r.least.Click(rec)
	if !ok || c.Time < r.span.From || c.Time >= r.span.To {
		return
	}
	c.Ad = append([]byte(nil), c.Ad...)
	t.missed = append(t.missed, missed{v.Kind, v.LateBy, rec.Append, c})
}

// sameJudge tells whether two partitions judge all that comes alike.
func sameJudge(a, b rule.State) bool {
	a.Account, b.Account = click.Account{}, click.Account{}
	return a == b
}
