package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/reducer/merge"
)

// Appended is how many clicks a millisecond a producer appends, which is the pace of
// the broker's clock and so of provisional results: a million a second.
const appended = 1000

// cores is a pipeline without a log: one source, some shards, some reducers, each
// as a process runs it, one after the other.
type cores struct {
	partition *rule.Partition
	shards    []*window.Shard
	reducers  []*merge.Reducer

	offset   int64 // of the next shuffle record; the same for all shards
	said     []int64
	sections [][]byte
	section  click.Section
	partial  click.Partial
	result   []byte

	mapper, reducer time.Duration
	aggregator      []time.Duration // by shard
}

// newCores builds what the default configuration builds, but for the window.
func newCores(size time.Duration) *cores {
	c := config.Default()
	shards, reducers, ms := int32(c.Aggregator.Shards), int32(c.Reducer.Partitions), size.Milliseconds()
	cfg := rule.Config{
		Size: ms, Lateness: c.Window.AllowedLateness.Milliseconds(), Delay: c.Watermark.Delay.Milliseconds(),
		MaxFuture: c.Watermark.MaxFuture.Milliseconds(), IdleTimeout: c.Watermark.IdleTimeout.Milliseconds(),
		EventIDField: c.Input.Fields.EventID, AdIDField: c.Input.Fields.AdID, TimeField: c.Input.Fields.Time, TimeUnit: rule.Millis,
		MaxRecordBytes: c.Input.MaxRecordBytes, SectionClicks: c.Mapper.SectionClicks,
		Router: click.NewRouter(1, shards), Shards: shards,
		Rules: click.Rules{
			Horizon: max(c.Dedupe.Horizon, size+c.Window.AllowedLateness+c.Watermark.Delay).Milliseconds(),
			MaxIDs:  int64(c.Aggregator.MaxIDs), MaxAds: int64(c.Aggregator.MaxAds), Top: int64(c.Aggregator.Top), Tick: c.Aggregator.Tick.Milliseconds(),
		},
	}
	p := &cores{
		partition: rule.NewPartition(cfg, click.Source{Topic: "clicks"}, rule.NewState(0)),
		said:      make([]int64, reducers), sections: make([][]byte, shards), aggregator: make([]time.Duration, shards),
	}
	for s := range shards {
		p.shards = append(p.shards, window.New(window.Config{Shard: s, Shards: shards, Reducers: reducers, Size: ms, Filter: click.FilterAll}))
	}
	for r := range reducers {
		p.reducers = append(p.reducers, merge.New(merge.Config{Reducer: r, Reducers: reducers}))
	}
	return p
}

// used is the CPU time this process has used, its collector's included.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // of its own usage a process always hears
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// count takes records through all three.
func (c *cores) count(records []click.Record) error {
	for len(records) > 0 {
		began, n := used(), 0
		for n < len(records) && !c.partition.Full() {
			c.partition.Add(&records[n])
			n++
		}
		last := &records[n-1]
		for shard, s := range c.partition.Seal(last.Offset+1, last.Append, click.None, 1) {
			c.sections[shard] = s.Append(c.sections[shard][:0])
		}
		c.mapper += used() - began
		for shard := range c.shards {
			if err := c.fold(shard); err != nil {
				return err
			}
		}
		c.offset++
		records = records[n:]
	}
	return nil
}

// fold gives a shard its section, and the reducers what it says.
func (c *cores) fold(shard int) error {
	began := used()
	if err := c.section.Parse(c.sections[shard]); err != nil {
		return err
	}
	if err := c.shards[shard].Fold(c.offset, &c.section); err != nil {
		return err
	}
	out := c.shards[shard].Out()
	ended := used()
	c.aggregator[shard] += ended - began
	for _, o := range out {
		if err := c.partial.Parse(o.Value); err != nil {
			return err
		}
		r := c.reducers[o.Reducer]
		if err := r.Fold(c.said[o.Reducer], &c.partial); err != nil {
			return err
		}
		c.said[o.Reducer]++
		results := r.Out()
		for i := range results.Results {
			c.result = results.Results[i].AppendJSON(c.result[:0])
		}
		for i := range results.Rankings {
			c.result = results.Rankings[i].AppendJSON(c.result[:0])
		}
	}
	c.reducer += used() - ended
	return nil
}

// counted is what became of the clicks, over all shards.
func (c *cores) counted() (t click.Tally) {
	for _, s := range c.shards {
		for _, p := range s.Status().Sources {
			t.Counted += p.Tally.Counted
			t.Duplicate += p.Tally.Duplicate
			t.Conflict += p.Tally.Conflict
		}
	}
	return t
}

// costs counts a stream, and returns the values of corePanels.
func costs(ctx context.Context, o gen.Options, size time.Duration) ([]float64, error) {
	events, err := gen.New(o)
	if err != nil {
		return nil, err
	}
	runtime.GC() // what the run before left
	c := newCores(size)
	var want [gen.Garbage + 1]int64
	var records []click.Record
	var bytes []byte
	live := o.Start.Add(24 * time.Hour).UnixMilli() // when the records are appended
	for offset, more := int64(0), true; more; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, bytes = records[:0], bytes[:0]
		for e := (gen.Event{}); len(records) < config.Default().Mapper.SectionClicks; offset++ {
			if more = events.Next(&e); !more {
				break
			}
			want[e.Kind]++
			at := len(bytes)
			bytes = append(bytes, e.Value...)
			records = append(records, click.Record{Offset: offset, Append: live + offset/appended, Value: slices.Clip(bytes[at:])})
		}
		if err := c.count(records); err != nil {
			return nil, err
		}
	}
	if t := c.counted(); t.Counted != want[gen.Click] || t.Duplicate != want[gen.Repeat] || t.Conflict != want[gen.Conflict] {
		return nil, fmt.Errorf("counted %+v of %v clicks, repeats, conflicts and garbage", t, want)
	}
	var aggregator time.Duration
	for _, d := range c.aggregator {
		aggregator += d
	}
	n := float64(o.Events)
	all := c.mapper + aggregator + c.reducer
	micros := func(d time.Duration) float64 { return d.Seconds() * 1e6 / n }
	return []float64{
		n / all.Seconds(), n / slices.Max(c.aggregator).Seconds(),
		micros(all), micros(c.mapper), micros(aggregator), micros(c.reducer),
	}, nil
}

var corePanels = []panel{
	{"clicks/s", []string{"one core does all", "4 shards, a core each"}},
	{"CPU per click, µs", []string{"all", "mapper", "aggregator", "reducer"}},
}

// coreCurves are the curves of the cores over n clicks.
func coreCurves(n int) []*curve {
	stream := gen.Defaults()
	// Half an hour of event time: windows open and close, and ids are forgotten.
	stream.Events, stream.Span = n, 30*time.Minute
	curveOver := func(name, title, x string, points []string, set func(o *gen.Options, size *time.Duration, point int)) *curve {
		return &curve{
			name: name, title: title, x: x, points: points, panels: corePanels,
			measure: func(ctx context.Context, point int) ([]float64, error) {
				o, size := stream, config.Default().Window.Size
				set(&o, &size, point)
				return costs(ctx, o, size)
			},
		}
	}
	ads := []int{1, 10, 100, 1_000, 10_000, 100_000, 1_000_000}
	skews := []float64{0, 0.5, 0.8, 1, 1.1, 1.25, 1.5, 2}
	repeats := []float64{0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.49}
	sizes := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	return []*curve{
		curveOver("ads", "Distinct ads", "distinct ads", texts(ads, func(n int) string { return strconv.Itoa(n) }),
			func(o *gen.Options, _ *time.Duration, i int) { o.Ads = ads[i] }),
		curveOver("skew", "Skew of the ads", "exponent of the ads' Zipf distribution", texts(skews, decimal),
			func(o *gen.Options, _ *time.Duration, i int) { o.Zipf = skews[i] }),
		curveOver("repeats", "Share of repeated clicks", "clicks that repeat another, % of all",
			texts(repeats, func(f float64) string { return decimal(100 * f) }),
			func(o *gen.Options, _ *time.Duration, i int) { o.Repeat = repeats[i] }),
		curveOver("window", "Size of a window", "size of a window", texts(sizes, brief),
			func(_ *gen.Options, size *time.Duration, i int) { *size = sizes[i] }),
	}
}

func texts[T any](values []T, text func(T) string) (out []string) {
	for _, v := range values {
		out = append(out, text(v))
	}
	return out
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'g', 3, 64) }

// brief writes a duration of whole seconds, minutes or hours.
func brief(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return strconv.Itoa(int(d/time.Second)) + " s"
}
