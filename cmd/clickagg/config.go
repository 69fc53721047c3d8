package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Check, print or explain the configuration",
		Example: "  clickagg config check --config clickagg.yaml",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	check := &cobra.Command{
		Use:     "check",
		Short:   "Say whether the configuration is right, with all its faults at once",
		Example: "  clickagg config check --config clickagg.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := settings(c); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "configuration: ok")
			return err
		},
	}
	show := &cobra.Command{
		Use:     "print",
		Short:   "Print what a process would really use, as YAML",
		Example: "  CLICKAGG_WINDOW_SIZE=30s clickagg config print",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(cfg.Print())
			return err
		},
	}
	reference := &cobra.Command{
		Use:     "reference",
		Short:   "Print the page that explains every key",
		Example: "  clickagg config reference | less",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(config.Reference())
			return err
		},
	}
	addKeys(check)
	addKeys(show)
	c.AddCommand(check, show, reference)
	return c
}
