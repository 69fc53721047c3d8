package recount

import (
	"cmp"
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
	// Gathered, if there is one, is what earlier recounts have found out of these, and is told what this one does.
	Gathered *Gathered
	// Witness, if there is one, is told of the valid clicks of the range, and of those that may
	// repeat or be repeated in it; with Late, before these, of those of the range that came too
	// late or were stamped too far ahead.
	Witness func(*Judged)
	// Workers is how many sources are read and judged at once, beside what is counted; 0 does all in turn.
	Workers int
	// Turn is how many records of one source are read at once; 0 chooses by how many sources there are. No count depends on it.
	Turn int64
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

// plan is what whoever reads must know of a recount.
type plan struct {
	in      Input
	span    Range
	rules   Rules
	hold    int64 // ms for which a window is kept, because what is valid may strike a late click of it
	sources int32
	turn    int64 // records
}

// run is one recount.
type run struct {
	*plan
	report  Report
	reading []*source
	shard   *window.Shard
	turns   int64
	section click.Section
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
	r := &run{plan: &plan{span: span, rules: rules}, tally: tally{span: span, sink: sink}}
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
	if err := r.each(ctx, r.reading, func(s *source, t *turn) error {
		if err := r.count(s, t); err != nil {
			return err
		}
		return watch(r.progress())
	}); err != nil {
		return r.report, err
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
	r.plan = &plan{in: in, span: r.span, rules: r.rules, sources: int32(len(names)), turn: cmp.Or(r.rules.Turn, turnRecords(len(names)))}
	r.report = Report{Input: i, Sources: len(names), Whole: true}
	if r.reading, err = r.openAll(ctx, names); err != nil {
		return err
	}
	for _, s := range r.reading {
		r.report.Whole = r.report.Whole && s.reader.whole
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
		return slices.ContainsFunc(r.reading, func(s *source) bool { return s.reader.name.ID == id && s.reader.first >= from })
	}
	if read(m.ID, 0) || m.Retired != click.None && m.Retired+skew < r.begins() {
		return false
	}
	return m.Name == "" || !slices.ContainsFunc(r.rules.Mapped[i+1:], func(later control.Mapped) bool { return later.Name == m.Name && read(later.ID, 1) })
}

// begins is the least append time that a record can have which matters: a click of the
// range, or one that a click of the range may repeat.
func (p *plan) begins() int64 {
	j := &p.rules.Judge
	return p.span.From - j.Rules.Horizon - j.Size - j.MaxFuture - skew
}

// config is how a source is judged: all of its clicks go to one shard.
func (p *plan) config(name click.Source) rule.Config {
	c := p.rules.Judge
	c.Router, c.Shards, c.Term = c.Router.OneShard(), 1, 0
	c.Trusted = p.rules.Trusted(name.Topic)
	c.Rules.Top = 1 // its ranked lists are not looked at
	return c
}

// each hands out the turns of sources, always one of the source that is least far in event time, so
// that few windows are open at once.
func (r *run) each(ctx context.Context, sources []*source, f func(*source, *turn) error) error {
	stop := r.ahead(ctx, sources)
	defer stop()
	var alone turn
	for {
		s := behind(sources)
		if s == nil {
			return nil
		}
		t, err := s.take(ctx, &alone)
		if err == nil {
			err = f(s, t)
		}
		if err != nil {
			return err
		}
		s.give(t)
	}
}

// behind is the source that is least far; nil when all are done.
func behind(sources []*source) *source {
	var least *source
	for _, s := range sources {
		if !s.done && (least == nil || s.watermark < least.watermark) {
			least = s
		}
	}
	return least
}

// count counts what some records of a source came to.
func (r *run) count(s *source, t *turn) error {
	for _, h := range t.holes {
		r.rules.Hole(h.source, h.from, h.to)
	}
	r.report.Records += t.records
	r.report.Clicks += t.clicks
	r.report.Unsure += t.unsure
	r.report.Behind = r.report.Behind || t.behind
	r.section = t.section
	if r.rules.Witness != nil || r.late.n > 0 {
		r.attend(s.reader.name, r.section.Clicks)
	}
	return r.fold(&r.section)
}

// attend has valid clicks witnessed, and strike late ones that repeat them.
func (r *run) attend(name click.Source, clicks click.Clicks) {
	var c click.Routed
	for clicks.Next(&c) {
		if r.late.n > 0 {
			for _, late := range r.late.near(&c) {
				late.struck = true
			}
		}
		r.witness(&Judged{name, rule.Routed, 0, 0, &c})
	}
}

// witness tells of a click.
func (r *run) witness(j *Judged) {
	if r.rules.Witness != nil {
		r.rules.Witness(j)
	}
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
			if err := r.tally.deliver(r.partial.Closed - r.hold); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish has the shard say what it has not said yet, and delivers it.
func (r *run) finish() error {
	if len(r.reading) > 0 {
		last := r.section // again, and empty, but at a time: all is said then
		last.Start, last.At, last.Clicks = last.End, 0, click.Clicks{}
		if err := r.fold(&last); err != nil {
			return err
		}
	}
	return r.tally.deliver(r.span.To)
}

func (r *run) progress() (done, total int64) {
	done, total = r.before, r.before
	for _, s := range r.reading {
		d, t := s.progress()
		done, total = done+d, total+t
	}
	return done, total
}

// progress is how many offsets of a source were read of how many.
func (s *source) progress() (done, total int64) {
	r := s.reader
	if total = r.end - r.first; s.done {
		return total, total
	}
	return s.next - r.first, total
}

// stays looks whether all that was to be read is still there: what went meanwhile may not have been read.
func (r *run) stays(ctx context.Context) error {
	for _, s := range r.reading {
		start, end, err := r.in.Bounds(ctx, s.reader.name)
		if err != nil {
			return fmt.Errorf("recount: %v: %w", s.reader.name, err)
		}
		r.report.Whole = r.report.Whole && start <= s.reader.first && end >= s.reader.end
	}
	return nil
}
