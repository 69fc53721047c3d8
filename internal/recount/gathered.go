package recount

import (
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

// Gathered is what recounts, one after the other, have found out about clicks of a range that came too late or were
// stamped too far ahead. Each source is read to its end for them, and may have been written to for weeks since. A later
// recount of the range, or of a part of it, reads only what was appended since, and finds the same as if it had read
// all: a source is judged on from the very state in which it was left.
//
// The zero Gathered knows nothing. It is for recounts of the same inputs by the same judge, one at a time, and takes some
// 200 bytes for each such click, of which it keeps lateMost. What was put in among records that were read it does not see: after that, take a new one.
type Gathered struct {
	input   int
	span    Range
	filters []rule.FilterSpan
	sources map[click.Source]*gathered
	n       int // clicks that were to be kept; beyond lateMost none is, and nothing behind them is known
}

// gathered is what is known of one source.
type gathered struct {
	first  int64      // offset that its reading began at
	state  rule.State // of its judge, behind all that is known
	missed []missed
}

// unsettled is how many of a source's newest offsets are not relied on where records are kept: of a write or two, at 4 MiB and at
// least 100 bytes for a record, any may show before others.
const unsettled = 100_000

// settled is the offset before which a source will show what it shows now, whenever it is read.
func (r *reader) settled() int64 {
	if _, kept := r.in.(*Kept); kept {
		return r.end - unsettled
	}
	return r.end
}

// fit has all forgotten that may be of other records, another range or other filters than those of a recount.
func (g *Gathered) fit(r *run) {
	if g == nil {
		return
	}
	fits := g.sources != nil && g.input == r.report.Input && g.span.From <= r.span.From && r.span.To <= g.span.To
	for _, f := range r.rules.Filters { // of what was said of filters only the last end changes
		fits = fits && slices.ContainsFunc(g.filters, func(old rule.FilterSpan) bool { return old.From == f.From && old.Until == f.Until })
	}
	if !fits {
		*g = Gathered{input: r.report.Input, span: r.span, filters: r.rules.Filters, sources: map[click.Source]*gathered{}}
	}
}

// of is what is known of a source: nothing, if what a reader has of it is no continuation.
func (g *Gathered) of(r *reader) *gathered {
	begin := r.least.State()
	if g == nil {
		return &gathered{state: begin}
	}
	known := g.sources[r.name]
	if known == nil || known.first > r.first || known.state.Next > r.end || known.state.Live != begin.Live {
		known = &gathered{first: r.first, state: begin}
		g.sources[r.name] = known
	}
	return known
}

// keep takes in a turn of a source that was read on from what is known of it.
func (g *Gathered) keep(r *reader, t *turn) {
	if g == nil || g.span != r.span || t.next > r.settled() {
		return
	}
	if g.n += len(t.missed); g.n > lateMost {
		return
	}
	known := g.sources[r.name]
	known.missed = append(known.missed, t.missed...)
	known.state = t.state
}

// listener is a source that is read on from a state for clicks that are not counted.
func (r *reader) listener(s rule.State) *source {
	l := &reader{plan: r.plan, name: r.name, first: s.Next, next: s.Next, end: r.end, listens: true}
	l.least = rule.NewPartition(r.config(r.name), r.name, s)
	l.least.Filter(r.rules.Filters)
	return &source{reader: l, next: s.Next, watermark: click.None}
}
