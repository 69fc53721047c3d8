package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"syscall"

	"github.com/clickagg/clickagg/internal/bench"
)

// options are the flags.
type options struct {
	n      int64
	rounds int
	peers  string
	binary string
	cache  string
	heap   string
	shards int
	output string
}

func main() {
	var o options
	flag.Int64Var(&o.n, "n", 10_000_000, "clicks")
	flag.IntVar(&o.rounds, "rounds", 3, "turns of each contestant")
	flag.StringVar(&o.peers, "peers", defaultPeers, "contestants, with commas between; the others are compared with the first")
	flag.StringVar(&o.binary, "binary", "bin/clickagg", "the clickagg that races")
	flag.StringVar(&o.cache, "cache", ".cache/peers", "where the jobs of the others are built")
	flag.StringVar(&o.heap, "heap", "6g", "heap of the others' virtual machines")
	flag.IntVar(&o.shards, "shards", 4, "clickagg's aggregator.shards")
	flag.StringVar(&o.output, "o", "table", "table or json")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := hold(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

// hold holds a race and prints how it went.
func hold(ctx context.Context, o options) error {
	if o.output != "table" && o.output != "json" {
		return fmt.Errorf("-o %q is not table or json", o.output)
	}
	if o.n < minutes*1000 || o.rounds < 1 {
		return fmt.Errorf("-n %d -rounds %d: a race takes %d clicks, a thousand a minute, and a round", o.n, o.rounds, minutes*1000)
	}
	racing, err := named(o.peers)
	if err != nil {
		return err
	}
	r, err := newRace(ctx, o, racing)
	if err != nil {
		return err
	}
	all, err := r.run(ctx, racing)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if len(all) > 0 {
		err = errors.Join(err, o.print(racing, all))
	}
	return errors.Join(err, r.close())
}

func (o *options) print(racing []contestant, all []figures) error {
	if o.output == "json" {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Clicks int64     `json:"clicks"`
			Runs   []figures `json:"runs"`
		}{o.n, all})
	}
	return table(racing, all).Print(os.Stdout)
}

// table has the contestants in the order in which they were named.
func table(racing []contestant, all []figures) *bench.Table {
	t := &bench.Table{Measures: []bench.Measure{
		{Name: "clicks/s"}, {Name: "CPU µs/click", Digits: 2}, {Name: "broker µs/click", Digits: 2}, {Name: "peak MB"}, {Name: "first answer s", Digits: 1},
	}}
	for _, c := range racing {
		for _, f := range all {
			if f.Contestant != c.name {
				continue
			}
			name, broker, first := c.name, f.Broker, f.FirstSeconds
			if f.Includes != "" {
				name, broker, first = name+" (with "+f.Includes+")", math.NaN(), math.NaN()
			}
			t.Add(name, f.Rate, f.CPU, broker, f.PeakMB, first)
		}
	}
	return t
}
