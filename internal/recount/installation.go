package recount

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
)

// Installation is what a question about clicks is answered from. It is safe for concurrent use.
type Installation struct {
	Log stream.Log
	Raw storage.RawStore // nil when this process has none
	// Archived opens what is archived; nil without an archive. See [Kept.Archived].
	Archived func(ctx context.Context) (*archive.Reader, func() error, error)
	Control  string // the control topic
	Shuffle  string // the topic to which mappers append all the time
	Inputs   func() []stream.Partition
	Judge    rule.Config // as the mappers'
	Trusted  func(topic string) bool
	Types    filter.Types
	Skew     time.Duration // most by which the brokers' clocks differ
	Workers  int           // see [Rules]
}

// The names of what is read, by [Report.Input].
var inputNames = []string{"input topics", "raw store and archive"}

// InputName says what was read.
func (r *Report) InputName() string { return inputNames[r.Input] }

// FieldTypes are those of further fields that a predicate may read.
func (i *Installation) FieldTypes() filter.Types { return i.Types }

// Count is [Run] over the input topics or, when they do not reach far enough back and
// they do, the raw store and the archive, by the rules that hold now and one set of filters.
func (i *Installation) Count(ctx context.Context, span Range, set *filter.Set, watch func(done, total int64) error, sink func(*Window) error) (report Report, err error) {
	facts, err := control.Load(ctx, i.Log, i.Control)
	if err != nil {
		return Report{}, fmt.Errorf("recount: %w", err)
	}
	inputs, done, err := i.inputs(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("recount: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	rules := i.rules(&facts)
	rules.Filters = []rule.FilterSpan{{Until: click.None, Set: set}}
	return i.run(ctx, inputs, span, rules, watch, sink)
}

// rules are those that hold now, but for filters.
func (i *Installation) rules(facts *control.Facts) Rules {
	return Rules{Judge: i.Judge, Trusted: i.Trusted, Live: facts.LiveSince, Mapped: facts.Mapped(), Workers: i.Workers}
}

// inputs are the input topics and, where there are any, the raw store and the archive. Done lets go of them.
func (i *Installation) inputs(ctx context.Context) (inputs []Input, done func() error, err error) {
	asOf, err := i.asOf(ctx, time.Now())
	if err != nil {
		return nil, nil, err
	}
	var sources []click.Source
	for _, p := range i.Inputs() {
		t, err := i.Log.Topic(ctx, p.Topic)
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, click.Source{Topic: t.Name, ID: t.ID, Partition: p.Number})
	}
	inputs = []Input{FromLog(i.Log, sources, asOf)}
	if i.Raw == nil && i.Archived == nil {
		return inputs, func() error { return nil }, nil
	}
	kept := &Kept{Raw: i.Raw, Archived: i.Archived, Log: inputs[0]}
	return append(inputs, kept), kept.Close, nil
}

// asOf is the least that the brokers' clocks can show. A broker tells its time when this process appends; one that only asks
// may never have, and the broker inside a process tells none. But it stamps what mappers append, which is what makes windows
// end where sources are silent.
func (i *Installation) asOf(ctx context.Context, now time.Time) (int64, error) {
	clock, ok := i.Log.(stream.BrokerClock)
	if !ok {
		return now.Add(-i.Skew).UnixMilli(), nil
	}
	newest := int64(click.None)
	if told, ok := clock.BrokerTime(now); ok {
		newest = told.UnixMilli()
	}
	t, err := i.Log.Topic(ctx, i.Shuffle)
	if err != nil {
		return 0, err
	}
	shuffle, s := FromLog(i.Log, nil, click.None), click.Source{Topic: t.Name, ID: t.ID}
	start, end, err := shuffle.Bounds(ctx, s)
	if err != nil {
		return 0, err
	}
	last, ok, err := first(ctx, shuffle.Read, s, max(start, end-1), end)
	if err != nil {
		return 0, err
	}
	if ok {
		newest = max(newest, last.Append)
	}
	if newest == click.None {
		return click.None, nil
	}
	return newest - i.Skew.Milliseconds(), nil
}
