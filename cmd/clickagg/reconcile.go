package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/query"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/schedule"
	"github.com/clickagg/clickagg/internal/stream"
)

func reconcileCommand() *cobra.Command {
	var o query.ReconcileOptions
	var yes bool
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Hold every count against the clicks themselves, and name the cause of each difference",
		Long: "Count the clicks of a range once more and compare them with all that is stored of its closed minutes: every count per ad, minute and\n" +
			"filter, in number and identity, the ranked lists, hours and days. Each difference has causes and a size. The exit status is 0 if nothing is\n" +
			"wrong, 1 if something is or that is not known. Clicks that came too late are told of, and are not wrong.\n\n" +
			"With --repair, counts, lists, hours and days are then changed to what the clicks come to, with those that came too late, and records that the\n" +
			"raw store has lost are put back; then all is compared again. It is one correction: answers over its time are provisional until it is done.",
		Example: "  clickagg reconcile --last 24h\n  clickagg reconcile --from 2019-11-24T00:00:00Z --to 2019-12-01T00:00:00Z -o csv > differences.csv\n" +
			"  clickagg reconcile --from 2019-11-24T00:00:00Z --to 2019-12-01T00:00:00Z --repair --yes",
		Args: noArgs,
		RunE: ask(func(c *cobra.Command, to *client.Client, _ []string) error {
			if o.Repair && !yes {
				fmt.Fprintln(c.ErrOrStderr(), "Counts of closed minutes will be changed to what their clicks come to, with those that came too late.")
				if err := confirm(c.ErrOrStderr(), "reconcile"); err != nil {
					return err
				}
			}
			o.Width = query.Width(c.OutOrStdout())
			o.Progress = func(step string, total int64) *progress.Bar {
				unit := "offsets, " + step
				if step == correct.Publishing {
					unit = "counts published"
				}
				return progress.Start(os.Stderr, isTerminal(os.Stderr), total, unit)
			}
			err := query.Reconcile(c.Context(), to, o, c.OutOrStdout())
			switch {
			case errors.Is(err, query.ErrDifferences):
				return &exit{status: 1, err: err}
			case err != nil && c.Context().Err() != nil && (o.Repair || o.Resume):
				return unfinished(err, "reconcile")
			}
			return err
		}),
	}
	c.Flags().StringVar(&o.Range.From, "from", "", "beginning: RFC 3339, Unix seconds or ms, or relative like -24h (default a minute before the end)")
	c.Flags().StringVar(&o.Range.To, "to", "", "end, in the same notations (default now)")
	c.Flags().StringVar(&o.Range.Last, "last", "", "instead of --from and --to: a length up to now, like 24h")
	c.Flags().StringVar(&o.Source, "source", "", "where the clicks are read from: "+strings.Join(recount.SourceNames, ", ")+" (default: the first that has all)")
	c.Flags().BoolVar(&o.Repair, "repair", false, "put right what is wrong, and add clicks that came too late")
	c.Flags().BoolVar(&o.Resume, "resume", false, "finish the repair that was left unfinished, over its own range")
	c.Flags().BoolVar(&o.AsStored, "as-stored", false, "with --resume: end it without counting, with every count as it is stored, when its clicks are gone")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "repair without asking")
	c.Flags().IntVar(&o.Limit, "limit", 50, "most differences that a table lists, 0 for all")
	outputFlag(c, &o.Output, query.Table, query.JSON, query.CSV)
	addKeys(c, askKeys...)
	return c
}

// reconciler compares what this process's store has with the clicks.
func (p *process) reconciler() *reconcile.Reconciler {
	return &reconcile.Reconciler{
		Store: p.store, Clicks: p.clicks(), Size: p.cfg.Window.Size.Milliseconds(), Horizon: p.cfg.Dedupe.Horizon.Milliseconds(),
		Top: p.cfg.Aggregator.Top, Begin: reconcile.By(p.replayer().Publisher),
	}
}

// reconcileRole compares by schedule, in one process of all that run the role.
func (p *process) reconcileRole() *role {
	zone, _ := time.LoadLocation(p.cfg.Window.TimeZone) // the config room refuses any other,
	when, _ := schedule.Parse(p.cfg.Reconcile.Schedule) // and here too
	k := &reconcile.Keeper{
		Reconciler: p.reconciler(), Schedule: when, Zone: zone, Range: p.cfg.Reconcile.Range,
		Memory: reconcile.GroupMemory{Log: p.log, Group: p.group(roleReconcile), Of: numbered(p.topics.Control, 1)[0], Clock: stream.Wall{}},
		Clock:  stream.Wall{}, Metrics: p.reconcile, Logger: p.logger,
	}
	if !p.has(roleMapper, roleRaw, roleAPI) { // which look for new inputs themselves
		p.beside = append(p.beside, func(ctx context.Context) error {
			return p.inputs.watch(ctx, p.log, p.cfg, func(int32) {})
		})
	}
	return &role{
		name: roleReconcile, group: p.group(roleReconcile), partitions: func() []stream.Partition { return numbered(p.topics.Control, 1) },
		working: func() int {
			if k.AtWork() {
				return 1
			}
			return 0
		},
		work: func(ctx context.Context, _ stream.Partition) error { return k.Run(ctx) },
	}
}
