package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/clickagg/clickagg/internal/bench/pipeline"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/ops"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "curves:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	r := &rig{stream: gen.Defaults(), inputs: map[int]pipeline.Input{}}
	flag.StringVar(&r.binary, "binary", "bin/clickagg", "the clickagg to run")
	n := flag.Int("n", 2_000_000, "clicks of a run")
	rounds := flag.Int("rounds", 3, "runs of a point")
	dir := flag.String("dir", "docs/plots", "where the plots and the tables go")
	only := flag.String("only", "", "some of the curves, with commas between; empty is all")
	flag.Parse()
	ops.TuneMemory() // as the processes do
	r.stream.Events = *n
	all := append(coreCurves(*n), r.curves()...)
	chosen, err := choose(all, *only)
	if err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("%d rounds: there is at least one", *rounds)
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	var failed []error // one curve that fails does not keep the others away
	for _, c := range chosen {
		if err := c.run(ctx, *rounds, *dir, os.Stdout); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// choose picks curves by their names.
func choose(all []*curve, names string) (chosen []*curve, err error) {
	if names == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(c *curve) bool { return c.name == name })
		if i < 0 {
			var known []string
			for _, c := range all {
				known = append(known, c.name)
			}
			return nil, fmt.Errorf("there is no curve %q; there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
