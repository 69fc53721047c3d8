package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/stage"
	"github.com/clickagg/clickagg/internal/stream"
	broker "github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/topology"
	"github.com/clickagg/clickagg/mapper"
	"github.com/clickagg/clickagg/reducer/merge"
	"github.com/clickagg/clickagg/storage/cassandra"
)

func runCommand() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use:   "run",
		Short: "Count clicks: run some or all roles",
		Long: "Run roles until told to stop. Without kafka.brokers all of them run in one process, on the embedded broker, to which\n" +
			"any Kafka client can produce clicks at embedded.listen. With Kafka and Cassandra, each role may run in as many\n" +
			"processes as you like: they share its partitions out among themselves.",
		Example: "  clickagg run --role=all --data-dir ./clickagg-data\n" +
			"  clickagg run --role=aggregator --config /etc/clickagg/clickagg.yaml",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runRoles(c, role) },
	}
	c.Flags().StringVar(&role, "role", "all", "roles of this process: all, or some of "+strings.Join(everyRole, ", ")+" with commas between; raw, archive and reconcile are not among all")
	addKeys(c)
	insecureFlag(c)
	return c
}

// verbCommands are short for run with one role.
func verbCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, v := range [...]struct{ verb, role, short string }{
		{"map", roleMapper, "Run the mapper: read clicks, judge them and hand them to the shards"},
		{"aggregate", roleAggregator, "Run the aggregator: count the clicks of some shards"},
		{"reduce", roleReducer, "Run the reducer: merge what the shards say into results"},
	} {
		c := &cobra.Command{
			Use: v.verb, Short: v.short, Long: v.short + ". The same as 'clickagg run --role=" + v.role + "'.",
			Example: "  clickagg " + v.verb + " --config /etc/clickagg/clickagg.yaml", Args: noArgs,
			RunE: func(c *cobra.Command, _ []string) error { return runRoles(c, v.role) },
		}
		addKeys(c)
		insecureFlag(c)
		out = append(out, c)
	}
	return out
}

func runRoles(c *cobra.Command, text string) error {
	roles, err := parseRoles(text)
	if err != nil {
		return usage(err)
	}
	cfg, err := settings(c)
	if err != nil {
		return err
	}
	if err := possible(cfg, roles); err != nil {
		return usage(err)
	}
	return run(c.Context(), cfg, roles, func() (config.Config, error) { return settings(c) })
}

// run runs roles until ctx ends. At SIGHUP the configuration is read anew.
func run(ctx context.Context, cfg config.Config, roles []string, reread func() (config.Config, error)) error {
	logger, err := ops.Logger(cfg.Log)
	if err != nil {
		return usage(err)
	}
	defer func() { _ = logger.Sync() }()
	ops.TuneMemory()
	hangups := make(chan os.Signal, 1) // one that comes during the start is heard after it
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	p := newProcess(ctx, cfg, roles, logger)
	p.beside = append(p.beside, func(ctx context.Context) error { return p.reload(ctx, hangups, reread) })
	if err := p.open(ctx); err != nil {
		err = errors.Join(err, p.close())
		if ctx.Err() != nil { // told to stop while it waited for a server
			logger.Info("stopped before it began", zap.Error(err))
			return nil
		}
		return statusOf(err)
	}
	defer deadline(ctx, cfg.Shutdown.Timeout, logger)()
	err = p.run(ctx)
	if ctx.Err() != nil {
		logger.Info("stopping")
	}
	return statusOf(errors.Join(err, p.close()))
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

// statusOf chooses the exit status for what ended a run.
func statusOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mapper.ErrLoss), errors.Is(err, stage.ErrLoss), errors.Is(err, broker.ErrDamaged), errors.Is(err, ops.ErrForeign), errors.Is(err, control.ErrLost),
		errors.As(err, new(window.Gap)), errors.As(err, new(*merge.Gap)):
		return &exit{status: 4, err: err}
	case errors.Is(err, cassandra.ErrUnfit), errors.Is(err, stream.ErrReplaced), errors.Is(err, stream.ErrCreateTime), errors.Is(err, control.ErrMismatch), errors.Is(err, control.ErrRules), errors.Is(err, mapper.ErrFilters), errors.Is(err, topology.ErrUnfit):
		return &exit{status: 2, err: err}
	}
	return &exit{status: 3, err: err}
}
