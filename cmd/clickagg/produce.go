package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/settle"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/spf13/cobra"
)

// target is where clicks are sent to.
type target struct {
	topic string
	wait  bool
}

// targetFlags gives a command the flags that say where clicks go.
func targetFlags(c *cobra.Command, t *target) {
	c.Flags().StringVar(&t.topic, "topic", "", "topic to send to (default: the first of input.topics)")
	c.Flags().String("brokers", "", "Kafka brokers to send to (default: kafka.brokers, else embedded.listen)")
	addKeys(c, append([]string{"kafka", "embedded.listen", "input", "window.size", "watermark.max_future", "dedupe.key"}, askKeys...)...)
}

// own tells whether a topic is one of clickagg's own, or would be: no input may be called like them.
func own(cfg *config.Config, topic string) bool {
	return strings.HasPrefix(topic, cfg.Kafka.TopicPrefix+".")
}

// dial opens the log clicks are sent to.
func (t *target) dial(c *cobra.Command, cfg *config.Config) (*kafka.Log, error) {
	if t.topic == "" {
		t.topic = cfg.Input.Topics[0]
	}
	if own(cfg, t.topic) {
		return nil, usage(fmt.Errorf("--topic %s is one of clickagg's own, and no place for clicks", t.topic))
	}
	kc, err := kafkaConfig(*cfg)
	if err != nil {
		return nil, usage(err)
	}
	kc.ClientID = "clickagg-produce"
	if b, _ := c.Flags().GetString("brokers"); b != "" {
		kc.Brokers = []string{b}
	}
	if len(kc.Brokers) == 0 {
		kc.Brokers = []string{cfg.Embedded.Listen}
	}
	logger, err := ops.Logger(config.Log{Level: "warn", Format: "console"})
	if err != nil {
		return nil, err
	}
	return connect(c.Context(), kc, logger)
}

// stored waits until everything sent is in the store, and final up to a time.
func (t *target) stored(ctx context.Context, log *kafka.Log, cfg *config.Config, until int64) error {
	to, err := apiClient(*cfg)
	if err != nil {
		return err
	}
	defer to.Close()
	fmt.Fprintln(os.Stderr, "sent; waiting until it is final in the store")
	started := time.Now()
	err = settle.Wait(ctx, settle.Options{
		Log: log, Input: t.topic, Topics: click.TopicsOf(cfg.Kafka.TopicPrefix), Until: until, Status: to.Status,
	})
	if err == nil {
		fmt.Fprintln(os.Stderr, "final after", time.Since(started).Round(10*time.Millisecond))
	}
	return err
}

func produceCommand() *cobra.Command {
	var o load.ProduceOptions
	var t target
	c := &cobra.Command{
		Use:   "produce",
		Short: "Load clicks from a file or standard input",
		Long: "Send the clicks of a JSON-lines or CSV file, plain, .gz or .zst, to a topic. Each line is checked first as the\n" +
			"mapper will check it; a bad one is reported with its file and line, and not sent (exit status 1).",
		Example: "  clickagg produce --file clicks.jsonl.gz --finish --wait\n" +
			"  clickagg produce --file clicks.csv --format csv --map ad_id=item_id,ts=timestamp",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.File == "" {
				return usage(fmt.Errorf("produce: name a file, as in: clickagg produce --file clicks.jsonl (or - for standard input)"))
			}
			if t.wait && !o.Finish {
				return usage(fmt.Errorf("produce: --wait waits for final counts, which --finish makes final: give both"))
			}
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			log, err := t.dial(c, &cfg)
			if err != nil {
				return err
			}
			defer func() { _ = log.Close() }()
			o.Topic, o.Stdin, o.Out, o.Terminal = t.topic, os.Stdin, os.Stderr, isTerminal(os.Stderr)
			o.Check, o.TimeField, o.Window, o.MaxFuture = checker(&cfg).Check, cfg.Input.Fields.Time, cfg.Window.Size, cfg.Watermark.MaxFuture
			r, err := load.Produce(c.Context(), log, o)
			if errors.Is(err, load.ErrUsage) {
				return usage(fmt.Errorf("produce: %w", err))
			} else if err != nil {
				return fmt.Errorf("produce: after %d clicks: %w", r.Sent, err)
			}
			if t.wait {
				if err := t.stored(c.Context(), log, &cfg, r.Watermark); err != nil {
					return err
				}
			}
			if r.Bad > 0 {
				return &exit{status: 1, err: fmt.Errorf("produce: %d of %d lines are no clicks and were not sent", r.Bad, r.Lines)}
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.File, "file", "", "file to load, or - for standard input")
	c.Flags().StringVar(&o.Format, "format", "", "jsonl or csv (default: by the file's name)")
	c.Flags().StringToStringVar(&o.Map, "map", nil, "csv: columns of the click's fields, as in ad_id=item_id,ts=timestamp")
	c.Flags().Float64Var(&o.Rate, "rate", 0, "clicks per second (default: as fast as possible)")
	c.Flags().BoolVar(&o.Finish, "finish", false, "end with a watermark on every partition, so that all windows close at once")
	c.Flags().BoolVar(&t.wait, "wait", false, "return when everything sent is final in the store")
	c.Flags().Int64Var(&o.UnpackedMax, "max-unpacked", load.UnpackedMax, "most bytes a compressed file may unpack to")
	targetFlags(c, &t)
	return c
}

// checker judges a line as the mapper will.
func checker(cfg *config.Config) *rule.Checker {
	unit, _ := rule.ParseTimeUnit(cfg.Input.TimeUnit) // the config room refuses any other
	return rule.NewChecker(rule.Config{
		EventIDField: cfg.Input.Fields.EventID, AdIDField: cfg.Input.Fields.AdID, TimeField: cfg.Input.Fields.Time, TimeUnit: unit,
		DedupeKey: cfg.Dedupe.Key, MaxRecordBytes: cfg.Input.MaxRecordBytes,
	})
}

func generateCommand() *cobra.Command {
	o := load.GenerateOptions{Gen: gen.Defaults()}
	var t target
	var live bool
	var start string
	c := &cobra.Command{
		Use:   "generate",
		Short: "Write synthetic clicks to a file or a topic, with the right answer",
		Long: "Write a deterministic stream of clicks: some repeated, out of order, late, conflicting or broken. The same seed\n" +
			"gives the same bytes. --truth writes the right count of every ad and minute, in the format of 'export counts'.",
		Example: "  clickagg generate --events 100000 --file clicks.jsonl.zst --truth truth.csv\n" +
			"  clickagg generate --live --rate 5000",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			if live {
				o.Gen.Now = time.Now
				if !c.Flags().Changed("events") {
					o.Gen.Events = 0
				}
				if o.Rate == 0 {
					o.Rate = 1000
				}
			}
			if start != "" {
				if o.Gen.Start, err = time.Parse(time.RFC3339, start); err != nil {
					return usage(fmt.Errorf("generate: --start: %w", err))
				}
			}
			if err := o.Gen.Validate(); err != nil && !live {
				return usage(fmt.Errorf("generate: %w", err))
			}
			o.Stdout, o.Out, o.Terminal, o.Window = os.Stdout, os.Stderr, isTerminal(os.Stderr), cfg.Window.Size
			if o.File != "" {
				_, _, err := load.Generate(c.Context(), nil, o)
				return err
			}
			log, err := t.dial(c, &cfg)
			if err != nil {
				return err
			}
			defer func() { _ = log.Close() }()
			o.Topic = t.topic
			r, _, err := load.Generate(c.Context(), log, o)
			if err == nil && t.wait {
				err = t.stored(c.Context(), log, &cfg, r.Watermark)
			}
			return err
		},
	}
	f, g := c.Flags(), &o.Gen
	f.IntVar(&g.Events, "events", g.Events, "how many events; with --live the default is no end")
	f.Uint64Var(&g.Seed, "seed", g.Seed, "equal seeds give equal streams")
	f.IntVar(&g.Ads, "ads", g.Ads, "distinct ads")
	f.Float64Var(&g.Zipf, "zipf", g.Zipf, "exponent of the ads' popularity, 0 for all alike")
	f.StringVar(&start, "start", "", "event time of the beginning, RFC 3339 (default "+g.Start.Format(time.RFC3339)+")")
	f.DurationVar(&g.Span, "span", 0, "event time from beginning to end (default: 1s per 10,000 events, at least 3m)")
	f.Float64Var(&g.Repeat, "repeat", g.Repeat, "fraction of events that repeat an earlier one")
	f.Float64Var(&g.Late, "late", g.Late, "fraction of clicks that come 30s to 4m late")
	f.Float64Var(&g.Garbage, "garbage", g.Garbage, "fraction of records that are no clicks")
	f.DurationVar(&g.OutOfOrder, "out-of-order", g.OutOfOrder, "how far other clicks may be out of order")
	f.BoolVar(&live, "live", false, "clicks of now, until told to stop")
	f.Float64Var(&o.Rate, "rate", 0, "events per second (default: as fast as possible; with --live 1000)")
	f.StringVar(&o.File, "file", "", "file to write (.jsonl, .gz, .zst), or - for standard output (default: the topic)")
	f.StringVar(&o.Truth, "truth", "", "file for the right counts, CSV")
	f.BoolVar(&o.Finish, "finish", false, "topic: end with a watermark on every partition")
	f.BoolVar(&t.wait, "wait", false, "topic: return when everything sent is final in the store")
	targetFlags(c, &t)
	return c
}
