package recount

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// SourceNames are what [Options] can name.
var SourceNames = []string{"raw", "archive", "kafka"}

// ErrSource: this process cannot read clicks from there.
var ErrSource = errors.New("clicks cannot be read from there")

// Options say how a recount goes beyond counting; see [Rules]. Who gives no Hole has holes in what was kept looked up
// in the log: unless that has no records there either, the report is not whole.
type Options struct {
	Source   string // one of SourceNames, where raw is the archive as well, if there is one; the first of them that has all when empty
	Late     bool
	Gathered *Gathered
	Witness  func(*Judged)
	Hole     func(s click.Source, from, to int64)
}

// Recount is [Run] by the rules that hold now and, in each minute, the filters that held
// then.
func (i *Installation) Recount(ctx context.Context, span Range, o Options, watch func(done, total int64) error, sink func(*Window) error) (report Report, err error) {
	facts, err := control.Load(ctx, i.Log, i.Control)
	if err != nil {
		return Report{}, fmt.Errorf("recount: %w", err)
	}
	inputs, done, err := i.inputs(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("recount: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	first := 0
	switch {
	case o.Source == "":
	case o.Source == "kafka":
		inputs = inputs[:1]
	case o.Source == "raw" && len(inputs) > 1:
		first, inputs = 1, inputs[1:]
	case o.Source == "archive" && i.Archived != nil:
		inputs[1].(*Kept).Raw = nil
		first, inputs = 1, inputs[1:]
	default:
		return Report{}, fmt.Errorf("%w: %s; this process has none: run it with the role raw, or archive.url set", ErrSource, o.Source)
	}
	rules := i.rules(&facts)
	rules.Late, rules.Gathered, rules.Witness, rules.Hole = o.Late, o.Gathered, o.Witness, o.Hole
	if rules.Filters, err = held(&facts, span); err != nil {
		return Report{}, fmt.Errorf("recount: %w", err)
	}
	report, err = i.run(ctx, inputs, span, rules, watch, sink)
	report.Input += first
	return report, err
}

// held compiles the sets of filters that clicks of a range are counted by.
func held(facts *control.Facts, span Range) ([]rule.FilterSpan, error) {
	var out []rule.FilterSpan
	for _, s := range facts.FilterSpans(span.From) {
		if s.From == s.Until || s.From >= span.To {
			continue
		}
		set, err := s.Compile()
		if err != nil {
			return nil, fmt.Errorf("the filters said for clicks from %s: %w; run a release that can read them",
				time.UnixMilli(s.From).UTC().Format(time.RFC3339), err)
		}
		out = append(out, rule.FilterSpan{From: s.From, Until: s.Until, Set: set})
	}
	return out, nil
}

// FromLog tells whether the input topics were read, which lack nothing between their ends.
func (r *Report) FromLog() bool { return r.Input == 0 }

// InLog calls f for the records of a source with offsets in [from, to) that the log holds. It is
// false when the log does not have all of them: it does not go back so far, or the topic was deleted, or made again.
func (i *Installation) InLog(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) (known bool, err error) {
	in := FromLog(i.Log, nil, click.None)
	start, end, err := in.Bounds(ctx, s)
	if err == nil && (start > from || end < to) {
		return false, nil
	}
	if err == nil {
		err = in.Read(ctx, s, from, to, f)
	}
	switch {
	case errors.Is(err, stream.ErrNoTopic), errors.Is(err, stream.ErrOutOfRange):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("recount: %w", err)
	}
	return true, nil
}

// Restore puts records of a source with offsets in [from, to) from the log back into the raw store.
func (i *Installation) Restore(ctx context.Context, s click.Source, from, to int64) error {
	if i.Raw == nil {
		return fmt.Errorf("%w: this process has no raw store", ErrSource)
	}
	_, err := i.InLog(ctx, s, from, to, func(r *click.Record) error { return i.Raw.Put(ctx, s, []click.Record{*r}) })
	return err
}
