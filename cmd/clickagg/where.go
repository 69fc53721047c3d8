package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/query"
)

// whereFlag gives a command the flag that has the clicks themselves counted.
func whereFlag(c *cobra.Command, where *string) {
	c.Flags().StringVar(where, "where", "", `count the clicks of which this is true, from the clicks themselves: 'country == "KR"' (docs/FILTERS.md)`)
}

// askWhere asks a question with --where, which goes with none of some other flags.
func askWhere(c *cobra.Command, to *client.Client, q client.ClicksQuestion, output string) error {
	for _, other := range []string{"filter", "granularity", "watch"} {
		if c.Flags().Changed(other) {
			return usage(fmt.Errorf("--where goes without --%s", other))
		}
	}
	return query.Where(c.Context(), to, query.WhereOptions{
		Question: q, Output: output, Width: query.Width(c.OutOrStdout()),
		Progress: func(total int64) *progress.Bar {
			return progress.Start(os.Stderr, isTerminal(os.Stderr), total, "records")
		},
	}, c.OutOrStdout())
}
