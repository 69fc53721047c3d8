package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/hot"
	"github.com/clickagg/clickagg/internal/stream"
)

func hotCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "hot",
		Short:   "See which ads are spread over several shards, and pin one",
		Example: "  clickagg hot list\n  clickagg hot pin ad000001 --spread 4\n  clickagg hot unpin ad000001",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var shards int32
	pin := hotSubcommand("pin AD", "Say over how many shards an ad's clicks go",
		"Say over how many shards an ad's clicks go, whatever the shards find themselves: 1 keeps it in one. It holds from an event\n"+
			"time on that no mapper has come to yet, two or three minutes ahead as a rule. Counts are exact throughout.",
		"  clickagg hot pin ad000001 --spread 4", oneHotAd("pin"),
		func(ctx context.Context, log stream.Log, topic string, args []string) ([]api.HotAd, error) {
			a, err := hot.Pin(ctx, log, topic, args[0], shards)
			return []api.HotAd{a}, err
		})
	pin.Flags().Int32Var(&shards, "spread", 0, "over how many shards, 1 for its own only (default all)")
	c.AddCommand(
		hotSubcommand("list", "The ads that are spread or pinned", "The ads that are spread over several shards, or pinned.", "  clickagg hot list -o json", noArgs,
			func(ctx context.Context, log stream.Log, topic string, _ []string) ([]api.HotAd, error) {
				return hot.List(ctx, log, topic)
			}),
		pin,
		hotSubcommand("unpin AD", "Leave an ad to the shards again", "Leave an ad to the shards again: they merge it back when it is not hot.",
			"  clickagg hot unpin ad000001", oneHotAd("unpin"),
			func(ctx context.Context, log stream.Log, topic string, args []string) ([]api.HotAd, error) {
				a, err := hot.Unpin(ctx, log, topic, args[0])
				return []api.HotAd{a}, err
			}))
	return c
}

// oneHotAd takes one ad.
func oneHotAd(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(fmt.Errorf("hot %s: name one ad, as in: clickagg hot %[1]s ad000001", name))
		}
		return nil
	}
}

// hotSubcommand makes a command that does something to hot ads and prints them.
func hotSubcommand(use, short, long, example string, args cobra.PositionalArgs,
	do func(ctx context.Context, log stream.Log, topic string, args []string) ([]api.HotAd, error)) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return usage(fmt.Errorf("%s: --output %q is not table or json", c.CommandPath(), output))
			}
			return withControl(c, hot.ErrUsage, func(ctx context.Context, p *process) error {
				list, err := do(ctx, p.log, p.topics.Control, args)
				if err != nil {
					return err
				}
				return hot.Print(c.OutOrStdout(), list, output == "json")
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	addKeys(c, "kafka", "embedded")
	return c
}
