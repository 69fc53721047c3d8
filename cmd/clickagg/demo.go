package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/demo"
	"github.com/clickagg/clickagg/internal/gen"
)

func demoCommand() *cobra.Command {
	o := demo.Options{Gen: gen.Defaults(), Rate: 5000}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show all of it: a live stream of clicks, or a checked one",
		Long: "Start all roles in a temporary directory and show a live stream of clicks being counted; Ctrl-C ends it.\n" +
			"With --events, send that many, compare every count, every minute's top 100 and the accounts with the\n" +
			"generator's own truth, and exit with 0 only if all agree (with --exit; else go on live).",
		Example: "  clickagg demo\n  clickagg demo --events 200000 --exit",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Exit && o.Gen.Events == 0 {
				return usage(errors.New("demo: --exit ends after a comparison: say how many --events"))
			}
			var err error
			if o.Binary, err = os.Executable(); err != nil {
				return err
			}
			if o.Gen.Events > 0 {
				if err := o.Gen.Validate(); err != nil {
					return usage(fmt.Errorf("demo: %w", err))
				}
			}
			o.Out, o.Terminal = os.Stdout, isTerminal(os.Stdout)
			if err := demo.Run(c.Context(), o); errors.Is(err, demo.ErrWrong) {
				return &exit{status: 1, err: err}
			} else if err != nil && c.Context().Err() == nil {
				return err
			}
			return nil
		},
	}
	c.Flags().IntVar(&o.Gen.Events, "events", 0, "how many events to send and check (default: a live stream without end)")
	c.Flags().BoolVar(&o.Exit, "exit", false, "end after the comparison")
	c.Flags().Uint64Var(&o.Gen.Seed, "seed", 1, "equal seeds give equal streams")
	c.Flags().IntVar(&o.Gen.Ads, "ads", 10_000, "distinct ads")
	c.Flags().Float64Var(&o.Gen.Zipf, "zipf", o.Gen.Zipf, "exponent of the ads' popularity: 0 for all alike, 3.8 for one with nine clicks in ten")
	c.Flags().Float64Var(&o.Rate, "rate", 5000, "events per second of the live stream")
	return c
}
