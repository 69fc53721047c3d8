package recount

import (
	"context"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/mapper/rule"
)

// Range is the event times whose clicks are counted: whole windows, in Unix ms.
type Range struct{ From, To int64 } // To is not in it

// Rules say what a valid click is, and how clicks are told apart.
type Rules struct {
	// Judge are the rules of the mapper. Its Shards, SectionClicks, Term and Trusted are not
	// used; its Router is the cluster's, or digests are others than the pipeline's.
	Judge   rule.Config
	Trusted func(topic string) bool         // whose watermark records are believed
	Live    func(topic click.TopicID) int64 // since when it is known to be live, or click.None
	Mapped  []control.Mapped                // all that ever were, in their order: one that was made again is two
	Filters []rule.FilterSpan               // beside click.FilterAll; their ends are ends of windows

	// Late has the clicks of the range that came too late gathered first, from all that was
	// appended since: see Window.Late. Repeats of them are looked for as for others.
	Late bool
	// Witness, if there is one, is told of the valid clicks of the range, and of those that may
	// repeat or be repeated in it; with Late, before these, of those of the range that came too
	// late or were stamped too far ahead.
	Witness func(*Judged)
	// Hole, if there is one, is told of offsets, [from, to), that the input has no records of. A
	// log may have such, where others than records took offsets.
	Hole func(s click.Source, from, to int64)
}

// Window is the counts of one window under one filter.
type Window struct {
	Start  int64 // Unix ms
	Filter string
	State  click.State // Provisional or Final
	Rows   []click.Row // with positive counts and digests, in the order of ads
	Late   []click.Row // what ads have more, in their order, if clicks that came too late are counted
}

// Report says what was read, and how far it can be relied on.
type Report struct {
	Input   int // which of the inputs was read
	Sources int
	Records int64 // read
	Clicks  int64 // valid ones of the range, with repeats
	Whole   bool  // no record that could matter was gone before it was read
	Unsure  int64 // clicks of which it is not known whether they were late
	Crowded int64 // clicks that found no room: see aggregator.max_ids and max_ads
	Behind  bool  // clicks of the range may have been appended that the input did not have yet
	Late    int64 // clicks of the range that came too late, with repeats; 0 when they were not asked for
}

// Exact tells whether the counts are those of all records there were.
func (r *Report) Exact() bool { return r.Whole && r.Unsure == 0 && r.Crowded == 0 }

// run is one recount.
type run struct {
	in      Input
	span    Range
	rules   Rules
	report  Report
	sources []*source
	shard   *window.Shard
	turns   int64
	partial click.Partial
	tally   tally
	late    latecomers
	before  int64 // offsets that were read to gather them
}

// Run counts the clicks of a range from the first of some inputs that has all that
// matters, or from the last that has anything. Watch is told after some records each how many offsets
// were read of how many; sink gets every window of the range that has a click, once under each filter
// that has one, in the order of time, then of filters' bytes. An error of either ends the run and
// is returned.
func Run(ctx context.Context, inputs []Input, span Range, rules Rules, watch func(done, total int64) error, sink func(*Window) error) (Report, error) {
	size := rules.Judge.Size
	if span.From%size != 0 || span.To%size != 0 || span.From < 0 || span.To < span.From {
		return Report{}, fmt.Errorf("recount: the range %d to %d is not whole windows of %d ms", span.From, span.To, size)
	}
	r := &run{span: span, rules: rules, tally: tally{span: span, sink: sink}}
	r.shard = window.New(window.Config{Shards: 1, Reducers: 1, Size: size, Filter: click.FilterAll})
	for i, in := range inputs {
		if r.report.Whole && r.report.Sources > 0 {
			break
		}
		if err := r.begin(ctx, i, in); err != nil {
			return r.report, err
		}
	}
	if rules.Late {
		if err := r.gather(ctx, watch); err != nil {
			return r.report, err
		}
	}
	for s := r.behind(); s != nil; s = r.behind() {
		if err := r.step(ctx, s); err != nil {
			return r.report, err
		}
		if err := watch(r.progress()); err != nil {
			return r.report, err
		}
	}
	if err := r.stays(ctx); err != nil {
		return r.report, err
	}
	return r.report, r.finish()
}

// begin opens the sources of an input, unless it has none and another has.
func (r *run) begin(ctx context.Context, i int, in Input) error {
	names, err := in.Sources(ctx)
	if err != nil {
		return fmt.Errorf("recount: sources: %w", err)
	}
	if len(names) == 0 && i > 0 {
		return nil
	}
	r.in, r.sources, r.report = in, nil, Report{Input: i, Sources: len(names), Whole: true}
	for _, name := range names {
		s, err := r.open(ctx, name)
		if err != nil {
			return fmt.Errorf("recount: open %v: %w", name, err)
		}
		r.sources = append(r.sources, s)
		r.report.Whole = r.report.Whole && s.whole
	}
	for i := range r.rules.Mapped {
		r.report.Whole = r.report.Whole && !r.lacks(i)
	}
	return nil
}

// lacks tells whether one of the topics that were mapped is not read and may have had a record that matters. It had none
// if it was retired before, or if a later one of its name is not read from the first record on.
func (r *run) lacks(i int) bool {
	m := &r.rules.Mapped[i]
	read := func(id click.TopicID, from int64) bool {
		return slices.ContainsFunc(r.sources, func(s *source) bool { return s.name.ID == id && s.first >= from })
	}
	if read(m.ID, 0) || m.Retired != click.None && m.Retired+skew < r.begins() {
		return false
	}
	return m.Name == "" || !slices.ContainsFunc(r.rules.Mapped[i+1:], func(later control.Mapped) bool { return later.Name == m.Name && read(later.ID, 1) })
}

// begins is the least append time that a record can have which matters: a click of the
// range, or one that a click of the range may repeat.
func (r *run) begins() int64 {
	j := &r.rules.Judge
	return r.span.From - j.Rules.Horizon - j.Size - j.MaxFuture - skew
}

// config is how a source is judged: all of its clicks go to one shard.
func (r *run) config(name click.Source) rule.Config {
	c := r.rules.Judge
	c.Router, c.Shards, c.SectionClicks, c.Term = c.Router.OneShard(), 1, turnRecords, 0
	c.Trusted = r.rules.Trusted(name.Topic)
	c.Rules.Top = 1 // its ranked lists are not looked at
	return c
}

// behind is the source that is least far in event time, so that few windows are open at
// once; nil when all are done.
func (r *run) behind() *source {
	var least *source
	for _, s := range r.sources {
		if !s.done && (least == nil || s.watermark < least.watermark) {
			least = s
		}
	}
	return least
}

// step reads some of a source and counts it.
func (r *run) step(ctx context.Context, s *source) error {
	sec, err := r.turn(ctx, s)
	if err != nil {
		return fmt.Errorf("recount: read %v: %w", s.name, err)
	}
	return r.fold(sec)
}

// fold counts a section and takes what the shard says.
func (r *run) fold(sec *click.Section) error {
	r.turns++
	if err := r.shard.Fold(r.turns, sec); err != nil {
		return fmt.Errorf("recount: %w", err)
	}
	for _, o := range r.shard.Out() {
		if err := r.partial.Parse(o.Value); err != nil {
			return fmt.Errorf("recount: %w", err)
		}
		r.tally.take(&r.partial)
		if !r.partial.Last {
			continue
		}
		r.report.Crowded = 0
		for i := range r.partial.Sources {
			r.report.Crowded += r.partial.Sources[i].Tally.Crowded
		}
		if r.partial.Closed != click.None {
			if err := r.tally.deliver(r.partial.Closed - r.tally.hold); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish has the shard say what it has not said yet, and delivers it.
func (r *run) finish() error {
	if len(r.sources) > 0 {
		last := r.sources[0].narrow // again, and empty, but at a time: all is said then
		last.Start, last.At, last.Clicks = last.End, 0, click.Clicks{}
		if err := r.fold(&last); err != nil {
			return err
		}
	}
	return r.tally.deliver(r.span.To)
}

func (r *run) progress() (done, total int64) {
	done, total = r.before, r.before
	for _, s := range r.sources {
		total += s.end - s.first
		if done += s.next - s.first; s.done {
			done += s.end - s.next
		}
	}
	return done, total
}
