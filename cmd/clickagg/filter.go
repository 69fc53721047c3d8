package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/dimension"
	"github.com/clickagg/clickagg/internal/stream"
)

func filterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "filter",
		Short:   "See by which filters clicks are counted, and since when",
		Example: "  clickagg filter list",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(filterListCommand())
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
			return withFilters(c, func(ctx context.Context, log stream.Log, topic string, _ config.Config, out io.Writer) error {
				list, err := dimension.List(ctx, log, topic)
				if err != nil {
					return err
				}
				return dimension.Print(out, list, output == "json")
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	addKeys(c, "kafka", "embedded")
	return c
}

// withFilters hands the log of an installation to what a command does with its filters.
func withFilters(c *cobra.Command, do func(ctx context.Context, log stream.Log, topic string, cfg config.Config, out io.Writer) error) error {
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
	if err := do(ctx, log, p.topics.Control, cfg, c.OutOrStdout()); err != nil {
		if errors.Is(err, dimension.ErrUsage) {
			return usage(err)
		}
		return err
	}
	return nil
}
