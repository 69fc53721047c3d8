package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/stage"
	broker "github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/mapper"
	"github.com/clickagg/clickagg/reducer"
	"github.com/clickagg/clickagg/reducer/merge"
	"github.com/clickagg/clickagg/storage/writer"
)

func runCommand() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use:   "run",
		Short: "Count clicks: run the roles",
		Long: "Run all roles in one process, on the embedded broker and the embedded store, until told to stop.\n" +
			"Any Kafka client can produce clicks to the topic \"clicks\" at embedded.listen.",
		Example: "  clickagg run --role=all --data-dir ./clickagg-data",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if role != "all" {
				return usage(fmt.Errorf("--role %q: this release runs all roles in one process: --role=all", role))
			}
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			return run(c.Context(), cfg)
		},
	}
	c.Flags().StringVar(&role, "role", "all", "roles this process runs")
	addKeys(c)
	return c
}

func run(ctx context.Context, cfg config.Config) error {
	logger, err := ops.Logger(cfg.Log)
	if err != nil {
		return usage(err)
	}
	defer func() { _ = logger.Sync() }()
	ops.TuneMemory()
	reg := ops.Registry()
	p := &process{
		ctx: context.WithoutCancel(ctx), cfg: cfg, logger: logger, reg: reg,
		mapper: mapper.NewMetrics(reg), aggregator: aggregator.NewMetrics(reg),
		reducer: reducer.NewMetrics(reg), writer: writer.NewMetrics(reg),
	}
	if err := p.open(ctx); err != nil {
		return status(errors.Join(err, p.close()))
	}
	defer deadline(ctx, cfg.Shutdown.Timeout, logger)()
	err = p.run(ctx)
	if ctx.Err() != nil {
		logger.Info("stopping")
	}
	return status(errors.Join(err, p.close()))
}

// deadline ends the process when it takes longer to stop than it may. What it
// had not finished it repeats at the next start.
func deadline(ctx context.Context, d time.Duration, logger *zap.Logger) (stop func()) {
	done := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(d):
			logger.Fatal("not stopped in time, ending anyway", zap.Duration("shutdown.timeout", d))
		}
	})
	return func() { close(done) }
}

// status chooses the exit status for what ended a run.
func status(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mapper.ErrLoss), errors.Is(err, stage.ErrLoss), errors.Is(err, broker.ErrDamaged),
		errors.As(err, new(window.Gap)), errors.As(err, new(*merge.Gap)):
		return &exit{status: 4, err: err}
	case errors.Is(err, control.ErrMismatch), errors.Is(err, control.ErrRules):
		return &exit{status: 2, err: err}
	}
	return &exit{status: 3, err: err}
}
