package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/pprof/profile"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/bench/pipeline"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/servers"
)

// options are the command line.
type options struct {
	binary, file, out string
	kafka             bool
	stream            gen.Options
	perClick          float64
	partitions, top   int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{stream: gen.Defaults()}
	flag.StringVar(&o.binary, "binary", "bin/clickagg", "the clickagg to run")
	flag.BoolVar(&o.kafka, "kafka", false, "with a real Kafka, up to the results topic; else one process with broker and store inside")
	flag.IntVar(&o.stream.Events, "n", 5_000_000, "clicks")
	flag.IntVar(&o.stream.Ads, "ads", o.stream.Ads, "distinct ads")
	flag.DurationVar(&o.stream.Span, "span", 0, "event time of the stream; 0 is 10,000 clicks a second")
	flag.IntVar(&o.partitions, "partitions", 4, "of the input topic, with Kafka")
	flag.IntVar(&o.top, "top", 0, "also name this many functions of each part")
	flag.StringVar(&o.out, "out", "", "file for the profile itself, to look at with go tool pprof")
	flag.StringVar(&o.file, "file", "", "a CPU profile to sort instead of running anything")
	flag.Float64Var(&o.perClick, "per-click", 1, "with -file: CPU of a click, in µs")
	flag.Parse()
	if err := o.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context, w io.Writer) error {
	perClick := time.Duration(o.perClick * 1e3)
	var p *profile.Profile
	var err error
	if o.file != "" {
		p, err = read(o.file)
	} else {
		p, perClick, err = o.measure(ctx, w)
	}
	if err != nil {
		return err
	}
	b, err := newBudget(p)
	if err != nil {
		return err
	}
	if err := b.print(w, perClick, o.top); err != nil {
		return err
	}
	return o.save(p)
}

// measure runs clickagg and profiles it.
func (o *options) measure(ctx context.Context, w io.Writer) (_ *profile.Profile, perClick time.Duration, err error) {
	var c collector
	run := pipeline.Options{Binary: o.binary, Stream: o.stream, Prefix: "profile", Beside: c.run}
	if o.kafka {
		fmt.Fprintln(w, "starting Kafka and sending", bench.Number(float64(o.stream.Events), 0), "clicks")
		k, err := servers.StartKafka(ctx, servers.KafkaOptions{})
		if err != nil {
			return nil, 0, err
		}
		defer func() { err = errors.Join(err, k.Close()) }()
		run.Brokers = k.Addrs()
		if run.Input, err = pipeline.Preload(ctx, run.Brokers, "clicks", int32(o.partitions), o.stream); err != nil {
			return nil, 0, err
		}
	}
	r, err := pipeline.Measure(ctx, run)
	if err != nil {
		return nil, 0, err
	}
	p, err := c.merged()
	if err != nil {
		return nil, 0, err
	}
	perClick = r.Usage.CPU / time.Duration(r.Clicks)
	fmt.Fprintf(w, "%s clicks in %v: %s clicks/s, %.3f µs of CPU each, at most %d MB; every count is the truth\n",
		bench.Number(float64(r.Clicks), 0), r.Whole.Round(10*time.Millisecond), bench.Number(float64(r.Clicks)/r.Whole.Seconds(), 0),
		float64(r.Usage.CPU.Nanoseconds())/1e3/float64(r.Clicks), r.Usage.Peak>>20)
	if b, err := newBudget(p); err == nil {
		fmt.Fprintf(w, "the profile saw %.2f s of %.2f s of CPU\n\n", b.total.Seconds(), r.Usage.CPU.Seconds())
	}
	return p, perClick, nil
}

func read(path string) (*profile.Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return profile.Parse(f)
}

// save writes the profile to the file that was asked for.
func (o *options) save(p *profile.Profile) error {
	if o.out == "" {
		return nil
	}
	f, err := os.Create(o.out)
	if err != nil {
		return err
	}
	return errors.Join(p.Write(f), f.Close())
}
