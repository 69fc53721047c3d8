package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/query"
)

func queryCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "query",
		Short:   "Ask how many clicks an ad got, which ads got the most, or what a minute's counts are made of",
		Example: "  clickagg query count ad000001 --last 5m\n  clickagg query top -n 10 --last 5m\n  clickagg query lineage --minute 2019-11-24T00:00:00Z",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(countCommand(), topCommand(), lineageCommand())
	return c
}

// rangeFlags gives a command the flags that say which clicks are meant.
func rangeFlags(c *cobra.Command, r *client.Range) {
	c.Flags().StringVar(&r.From, "from", "", "beginning: RFC 3339, Unix seconds or ms, or relative like -5m (default a minute before the end)")
	c.Flags().StringVar(&r.To, "to", "", "end, in the same notations (default now)")
	c.Flags().StringVar(&r.Last, "last", "", "instead of --from and --to: a length up to now, like 5m")
	c.Flags().StringVar(&r.Filter, "filter", "", "filter identifier (default 000: all clicks)")
	completeFilters(c)
}

func countCommand() *cobra.Command {
	var o query.CountOptions
	var again bool
	var where string
	c := &cobra.Command{
		Use:   "count AD...",
		Short: "How many clicks ads got",
		Example: "  clickagg query count ad000001 --last 5m\n  clickagg query count ad000001 ad000002 --last 5m --watch\n" +
			"  clickagg query count item-014 --from 2019-11-24T00:00:00Z --to 2019-11-25T00:00:00Z --granularity 1h\n" +
			"  clickagg query count --where 'country == \"KR\" && device == \"mobile\"' --last 1h",
		Args: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("where") {
				return nil // any number of ads, also none
			}
			return someAds(c, args)
		},
		ValidArgsFunction: completeAds,
		RunE: ask(func(c *cobra.Command, to *client.Client, args []string) error {
			if c.Flags().Changed("where") { // an empty one is a mistake, and not all clicks
				return askWhere(c, to, client.ClicksQuestion{Where: where, Ads: args, Range: o.Range}, o.Output)
			}
			o.Ads = args
			return watched(c, again, func(ctx context.Context, w io.Writer) error {
				o.Width = query.Width(c.OutOrStdout())
				err := query.Count(ctx, to, o, w)
				o.Again = true
				return err
			})
		}),
	}
	rangeFlags(c, &o.Range)
	c.Flags().StringVar(&o.Granularity, "granularity", "", "split the count of one ad into steps of 1m, 1h or 1d")
	completeWords(c, "granularity", "1m", "1h", "1d")
	outputFlag(c, &o.Output, query.Table, query.JSON, query.CSV)
	watchFlag(c, &again)
	whereFlag(c, &where)
	addKeys(c, askKeys...)
	return c
}

func someAds(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(fmt.Errorf("query count: name an ad or some, as in: clickagg query count ad000001 --last 5m"))
	}
	return nil
}

func watchFlag(c *cobra.Command, again *bool) {
	c.Flags().BoolVar(again, "watch", false, "ask again every second, until Ctrl-C")
}

// outputFlag gives a command the flag that says how to print, the first of the ways
// where it is not given.
func outputFlag(c *cobra.Command, output *string, ways ...string) {
	last := len(ways) - 1
	c.Flags().StringVarP(output, "output", "o", ways[0], strings.Join(ways[:last], ", ")+" or "+ways[last])
	completeWords(c, "output", ways...)
}

// watched prints an answer once, or again every second.
func watched(c *cobra.Command, again bool, ask func(context.Context, io.Writer) error) error {
	w := c.OutOrStdout()
	if !again {
		return ask(c.Context(), w)
	}
	return query.Watch(c.Context(), w, c.ErrOrStderr(), func() int { return query.Height(w) }, ask)
}

func topCommand() *cobra.Command {
	var o query.TopOptions
	var again bool
	var where string
	c := &cobra.Command{
		Use:     "top",
		Short:   "Which ads got the most clicks",
		Example: "  clickagg query top -n 10 --last 5m\n  clickagg query top --last 5m --watch\n  clickagg query top --where 'ip in cidr(\"10.0.0.0/8\")' --last 1h",
		Args:    noArgs,
		RunE: ask(func(c *cobra.Command, to *client.Client, _ []string) error {
			if c.Flags().Changed("where") {
				return askWhere(c, to, client.ClicksQuestion{Where: where, N: o.N, Range: o.Range}, o.Output)
			}
			return watched(c, again, func(ctx context.Context, w io.Writer) error {
				o.Width = query.Width(c.OutOrStdout())
				err := query.Top(ctx, to, o, w)
				o.Again = true
				return err
			})
		}),
	}
	rangeFlags(c, &o.Range)
	c.Flags().IntVarP(&o.N, "number", "n", 10, "how many ads, 1 to 1000")
	outputFlag(c, &o.Output, query.Table, query.JSON, query.CSV)
	watchFlag(c, &again)
	whereFlag(c, &where)
	addKeys(c, askKeys...)
	return c
}

func lineageCommand() *cobra.Command {
	var o query.LineageOptions
	c := &cobra.Command{
		Use:     "lineage",
		Short:   "What the counts of a final minute are made of: log positions and accounts",
		Example: "  clickagg query lineage --minute 2019-11-24T00:00:00Z",
		Args:    noArgs,
		RunE: ask(func(c *cobra.Command, to *client.Client, _ []string) error {
			o.Width = query.Width(c.OutOrStdout())
			return query.Lineage(c.Context(), to, o, c.OutOrStdout())
		}),
	}
	c.Flags().StringVar(&o.Minute, "minute", "", "a moment in it: RFC 3339, Unix seconds or ms, or relative like -5m")
	outputFlag(c, &o.Output, query.Table, query.JSON, query.CSV)
	addKeys(c, askKeys...)
	return c
}

func exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "export",
		Short:   "Write out what is stored",
		Example: "  clickagg export counts --from 2019-11-24T00:00:00Z --to 2019-12-02T00:00:00Z > counts.csv",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var o query.ExportOptions
	counts := &cobra.Command{
		Use:     "counts",
		Short:   "Every count per ad and minute, ordered by minute, then ad",
		Example: "  clickagg export counts --from 2019-11-24T00:00:00Z --to 2019-12-02T00:00:00Z --file counts.csv",
		Args:    noArgs,
		RunE: ask(func(c *cobra.Command, to *client.Client, _ []string) error {
			if o.File != "" && o.File != "-" {
				o.Progress = progress.Start(os.Stderr, isTerminal(os.Stderr), 0, "rows")
			}
			return query.Export(c.Context(), to, o, c.OutOrStdout())
		}),
	}
	counts.Flags().StringVar(&o.From, "from", "", "beginning (default: the first minute stored)")
	counts.Flags().StringVar(&o.To, "to", "", "end (default: past the last minute stored)")
	counts.Flags().StringVar(&o.Filter, "filter", "", "filter identifier (default 000: all clicks)")
	counts.Flags().StringVar(&o.File, "file", "", "where to write (default: standard output)")
	completeFilters(counts)
	outputFlag(counts, &o.Output, query.CSV, query.JSON)
	addKeys(counts, askKeys...)
	c.AddCommand(counts)
	return c
}

func statusCommand() *cobra.Command {
	var o query.StatusOptions
	var again bool
	c := &cobra.Command{
		Use:     "status",
		Short:   "How far every role is, what holds back, and whether the accounts add up",
		Example: "  clickagg status -o json\n  clickagg status --watch",
		Args:    noArgs,
		RunE: ask(func(c *cobra.Command, to *client.Client, _ []string) error {
			return watched(c, again, func(ctx context.Context, w io.Writer) error {
				o.Width = query.Width(c.OutOrStdout())
				err := query.Status(ctx, to, o, w)
				o.Again = true
				return err
			})
		}),
	}
	outputFlag(c, &o.Output, query.Table, query.JSON, query.CSV)
	watchFlag(c, &again)
	addKeys(c, askKeys...)
	return c
}

// askKeys are the keys that say how the API is asked.
var askKeys = []string{"api.url", "api.listen", "api.client"}

// ask runs a command against the running API.
func ask(f func(*cobra.Command, *client.Client, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		cfg, err := settings(c)
		if err != nil {
			return err
		}
		to, err := apiClient(cfg)
		if err != nil {
			return err
		}
		defer to.Close()
		if err := f(c, to, args); errors.Is(err, query.ErrUsage) {
			return usage(err)
		} else if err != nil {
			return err
		}
		return nil
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func auditCommand() *cobra.Command {
	var o query.AuditOptions
	c := &cobra.Command{
		Use:   "audit",
		Short: "Prove what is billed for a range: counts, published lists and the account of every source",
		Long: "Hold everything that is stored of the complete minutes of a range against itself: the counts of each minute against the ranked list\n" +
			"published with them, and the account of every source partition from minute to minute, so that each record has one verdict and no\n" +
			"offset is missing. The exit status is 0 if all of it holds, 1 if not or if no minute is complete. What -o json prints is evidence to keep: the table names its SHA-256.",
		Example: "  clickagg audit --from 2019-11-24T00:00:00Z --to 2019-12-01T00:00:00Z\n  clickagg audit --last 24h -o json > evidence.json",
		Args:    noArgs,
		RunE: ask(func(c *cobra.Command, to *client.Client, _ []string) error {
			o.Progress = func(minutes int64) *progress.Bar {
				return progress.Start(os.Stderr, isTerminal(os.Stderr), minutes, "minutes")
			}
			err := query.Audit(c.Context(), to, o, c.OutOrStdout())
			if errors.Is(err, query.ErrFindings) || errors.Is(err, query.ErrIncomplete) {
				return &exit{status: 1, err: err}
			}
			return err
		}),
	}
	c.Flags().StringVar(&o.Range.From, "from", "", "beginning: RFC 3339, Unix seconds or ms, or relative like -24h (default a minute before the end)")
	c.Flags().StringVar(&o.Range.To, "to", "", "end, in the same notations (default now)")
	c.Flags().StringVar(&o.Range.Last, "last", "", "instead of --from and --to: a length up to now, like 24h")
	outputFlag(c, &o.Output, query.Table, query.JSON)
	addKeys(c, askKeys...)
	return c
}
