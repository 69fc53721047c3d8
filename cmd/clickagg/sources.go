package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/mapper"
)

func sourcesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "sources",
		Short:   "Retire an input topic that is not read any more",
		Example: "  clickagg sources retire clicks.eu --config clickagg.yaml",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(retireCommand())
	return c
}

func retireCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "retire TOPIC",
		Short: "Let no window wait for an input topic any more",
		Long: "Tell the shards that nobody reads an input topic any more. Until then no window becomes final, because a click of\n" +
			"that topic could still come. First take the topic out of input.topics and restart the mappers in order; delete it\n" +
			"from Kafka afterwards, if at all. What it held stays counted.",
		Example: "  clickagg sources retire clicks.eu --config clickagg.yaml --yes",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("sources retire: name one topic, as in: clickagg sources retire clicks.eu"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			return retire(c.Context(), cfg, args[0], yes, c.OutOrStdout())
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	addKeys(c)
	return c
}

func retire(ctx context.Context, cfg config.Config, topic string, yes bool, out io.Writer) error {
	p := &process{cfg: cfg, topics: click.TopicsOf(cfg.Kafka.TopicPrefix)}
	if p.isInput(topic) {
		return usage(fmt.Errorf("sources retire: %s is in input.topics: take it out there and restart all mappers first", topic))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	log, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if p.facts, err = control.Load(ctx, log, p.topics.Control); err != nil {
		return err
	}
	if p.facts.Cluster == nil {
		return usage(fmt.Errorf("sources retire: %s says nothing of an installation: is kafka.topic_prefix right?", p.topics.Control))
	}
	if !yes {
		fmt.Fprintf(out, "No window will wait for clicks of %s any more.\n", topic)
		if err := confirm(out, "sources retire"); err != nil {
			return err
		}
	}
	n, err := mapper.Retire(ctx, log, p.mapperConfig(), topic)
	if errors.Is(err, mapper.ErrAtWork) {
		return &exit{status: 1, err: err}
	}
	if err == nil {
		fmt.Fprintf(out, "retired %d sources of %s\n", n, topic)
	}
	return err
}

// dialWait is how long a command waits for a broker to answer.
const dialWait = 15 * time.Second

// connect opens a log for a command.
func connect(ctx context.Context, kc kafka.Config, logger *zap.Logger) (*kafka.Log, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	log, err := kafka.Open(ctx, kc, logger)
	if err != nil {
		return nil, fmt.Errorf("%w; is 'clickagg run' running there?", err)
	}
	return log, nil
}

// dial opens the log of an installation, of the embedded broker if it has no other.
func (p *process) dial(ctx context.Context) (*kafka.Log, error) {
	cfg := p.cfg
	if !p.cluster() {
		cfg.Kafka.Brokers = []string{cfg.Embedded.Listen}
	}
	kc, err := kafkaConfig(cfg)
	if err != nil {
		return nil, usage(err)
	}
	logger, err := ops.Logger(config.Log{Level: "warn", Format: cfg.Log.Format})
	if err != nil {
		return nil, usage(err)
	}
	return connect(ctx, kc, logger)
}
