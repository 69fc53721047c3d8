package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/dimension"
)

func filterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "filter",
		Short:   "See, try and change the filters that clicks are counted by",
		Example: "  clickagg filter list\n  clickagg filter check --config clickagg.yaml --file clicks.jsonl\n  clickagg filter apply --config clickagg.yaml",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(filterListCommand(), filterCheckCommand(), filterApplyCommand())
	return c
}

func filterCheckCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "check", Short: "Say whether the configured filters are right, and try them on clicks",
		Long: "Check the filters of the configuration: what is wrong is named with line and column. With a file of clicks, JSON\n" +
			"lines, plain, .gz or .zst, also count how many pass each of them. Nothing is changed, and nothing needs to run.",
		Example: "  clickagg filter check --config clickagg.yaml --file clicks.jsonl", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			filters := filterSet(cfg)
			set, err := filters.Compile()
			if err != nil {
				return usage(fmt.Errorf("filter check: %w", err))
			}
			if file == "" {
				_, err := fmt.Fprintf(c.OutOrStdout(), "filters: %d, ok\n", set.Len())
				return err
			}
			checker := checker(&cfg)
			checker.Filter(set)
			trial, err := dimension.Try(c.Context(), set, file, os.Stdin, func(value []byte) (uint64, error) {
				_, _, _, err := checker.Check(value)
				return checker.Mask(), err
			})
			if err != nil {
				return fmt.Errorf("filter check: %w", err)
			}
			return trial.Print(c.OutOrStdout(), set)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "clicks to try the filters on, - is standard input")
	addKeys(c, "filters", "input", "dedupe.key")
	return c
}

func filterApplyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "apply", Short: "Count clicks by the configured filters from now on",
		Long: "Have clicks counted by the filters of the configuration, and by no others. They hold from an event time on that no\n" +
			"mapper has come to yet, two or three minutes ahead as a rule; what was counted before stays. Mappers say their own\n" +
			"configuration's filters when they start or reload, so give them the same.",
		Example: "  clickagg filter apply --config clickagg.yaml", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withControl(c, dimension.ErrUsage, func(ctx context.Context, p *process) error {
				if p.cfg.Filters == nil {
					return fmt.Errorf("%w: the configuration has no filters; write filters: [] to count by none", dimension.ErrUsage)
				}
				change, err := dimension.Apply(ctx, p.log, p.topics.Control, filterSet(p.cfg))
				if err != nil {
					return err
				}
				return change.Print(c.OutOrStdout())
			})
		},
	}
	addKeys(c, "filters", "input.types", "kafka", "embedded")
	return c
}

func filterListCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "list", Short: "The filters there are and were, with since when they hold",
		Long: "The filters that clicks are counted by, will be counted by, or were. Clicks from a time on is event time: a minute\n" +
			"is counted by one set of filters for ever.",
		Example: "  clickagg filter list -o json", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usage(fmt.Errorf("filter list: --output %q is not table or json", output))
			}
			return withControl(c, dimension.ErrUsage, func(ctx context.Context, p *process) error {
				list, err := dimension.List(ctx, p.log, p.topics.Control)
				if err != nil {
					return err
				}
				return dimension.Print(c.OutOrStdout(), list, output == "json")
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	addKeys(c, "kafka", "embedded")
	return c
}

// withControl hands an installation, with its log, to what a command does with its control topic. An
// error that is a wrong one is a mistake of usage.
func withControl(c *cobra.Command, wrong error, do func(ctx context.Context, p *process) error) error {
	cfg, err := settings(c)
	if err != nil {
		return err
	}
	p := &process{cfg: cfg, topics: click.TopicsOf(cfg.Kafka.TopicPrefix)}
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	defer cancel()
	log, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.log = log
	if err = do(ctx, p); errors.Is(err, wrong) {
		return usage(err)
	}
	return err
}
