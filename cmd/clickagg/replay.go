package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/query"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/replay"
	"github.com/clickagg/clickagg/internal/stream"
)

func replayCommand() *cobra.Command {
	var o query.ReplayOptions
	var yes bool
	q := &o.Question
	c := &cobra.Command{
		Use:   "replay",
		Short: "Count the clicks of closed minutes once more, and put in order what is stored of them",
		Long: "Count the clicks of a range once more, from the records as they came, by the same judge and the same counter as live, and compare with what is\n" +
			"stored. What differs is shown, and with your consent published as a new revision: as a whole, beside live traffic. Until all of it is stored,\n" +
			"answers over its time are provisional. Only minutes that are closed for good are replayed. A replay that broke off is finished with --resume.\n" +
			"The exit status of --dry-run is 0 if nothing differs, and 1 if something does.",
		Example: "  clickagg replay --from 2019-11-24T00:00:00Z --to 2019-11-24T01:00:00Z --dry-run\n" +
			"  clickagg replay --from 2019-11-24T00:00:00Z --to 2019-11-24T01:00:00Z --source raw --yes\n  clickagg replay --resume",
		Args: noArgs,
		RunE: ask(func(c *cobra.Command, to *client.Client, _ []string) error {
			if c.Flags().Changed("ad") && len(q.Ads) == 0 {
				return usage(errors.New("replay: --ad is empty, which would be all ads: name some, or leave it out"))
			}
			if err := o.Check(); err != nil {
				return err
			}
			if err := consent(&o, yes); err != nil {
				return err
			}
			o.Progress = func(total int64, unit string) *progress.Bar {
				return progress.Start(os.Stderr, isTerminal(os.Stderr), total, unit)
			}
			err := query.Replay(c.Context(), to, o, c.OutOrStdout())
			switch {
			case errors.Is(err, query.ErrDiffers), errors.Is(err, query.ErrDeclined):
				return &exit{status: 1, err: err}
			case err != nil && c.Context().Err() != nil && !o.DryRun:
				return unfinished(err, "replay")
			}
			return err
		}),
	}
	rangeFlags(c, &q.Range)
	c.Flags().StringSliceVar(&q.Ads, "ad", nil, "only these ads, as in a,b; may be given several times (default: all)")
	c.Flags().StringVar(&q.Source, "source", "", "where clicks are read from: "+strings.Join(recount.SourceNames, ", ")+" (default: wherever all are)")
	completeWords(c, "source", recount.SourceNames...)
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "only print what differs")
	c.Flags().BoolVar(&q.Late, "with-late", false, "count clicks that came too late as well; where a correction did so before, they are in any case")
	c.Flags().BoolVar(&q.Inexact, "inexact", false, "publish also what cannot be known to be exact")
	c.Flags().BoolVar(&q.Resume, "resume", false, "finish the replay that was left unfinished")
	c.Flags().BoolVar(&q.AsStored, "as-stored", false, "with --resume: end it without counting, with every count as it is stored, when its clicks are gone")
	c.Flags().BoolVar(&yes, "yes", false, "publish without asking")
	outputFlag(c, &o.Output, query.Table, query.JSON, query.CSV)
	addKeys(c, askKeys...)
	return c
}

// unfinished is the error of a command that was interrupted and may have begun something.
func unfinished(err error, command string) error {
	hint := fmt.Errorf("interrupted; if something was begun already, finish it with: clickagg %s --resume", command)
	if errors.Is(err, context.Canceled) {
		return hint // an error that is only the interruption is not told
	}
	return errors.Join(err, hint)
}

// consent sees to it that somebody agrees before something is published.
func consent(o *query.ReplayOptions, yes bool) error {
	switch {
	case o.DryRun, o.Question.Resume, yes:
		return nil
	case !isTerminal(os.Stdin):
		return usage(errors.New("replay: nobody can be asked whether to publish: give --yes to publish, or --dry-run to look only"))
	}
	o.Agree = func(found string) (bool, error) {
		fmt.Fprint(os.Stderr, found+"publish this? [y/N] ")
		answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
		answer = strings.ToLower(strings.TrimSpace(answer))
		return answer == "y" || answer == "yes", err
	}
	return nil
}

// replayer replays into what this process stores in or answers from.
func (p *process) replayer() *replay.Replayer {
	return &replay.Replayer{
		Clicks: p.clicks(), Control: p.topics.Control,
		Publisher: &correct.Publisher{
			Log: p.log, Store: p.store, Topics: p.topics, Reducers: p.facts.Cluster.Reducers, Window: p.facts.Cluster.WindowMS, Top: p.cfg.Aggregator.Top,
			Pace: p.cfg.Correction.RowsPerSecond, Dir: p.cfg.DataDir, Clock: stream.Wall{}, Metrics: p.correct, Logger: p.logger,
		},
	}
}
