package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/topology"
)

// topicsTimeout is how long the brokers may take to answer.
const topicsTimeout = 15 * time.Second

func topicsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "topics",
		Short:   "Create Kafka's topics, or check them",
		Example: "  clickagg topics create --config clickagg.yaml\n  clickagg topics check --config clickagg.yaml",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(topicsSubcommand("create", "Create the topics that are missing, and check all",
		"Create clickagg's own topics and the inputs that input.topics names exactly, where they do not exist. A topic that exists is\n"+
			"left as it is. Then all are checked, as by 'clickagg topics check'.", createTopics),
		topicsSubcommand("check", "Say for each setting of the topics what is there and what should be",
			"Compare the topics in the cluster with what the configuration needs. The exit status is 0 if counts will be exact, also\n"+
				"when there is advice, 1 if they would not, 3 if the brokers cannot be reached.",
			func(context.Context, *kafka.Log, config.Config) ([]topology.Topic, error) { return nil, nil }))
	return c
}

// topicsSubcommand makes a command that does something to the topics and checks
// them.
func topicsSubcommand(name, short, long string, do func(context.Context, *kafka.Log, config.Config) ([]topology.Topic, error)) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: name, Short: short, Long: long, Args: noArgs,
		Example: "  clickagg topics " + name + " --config clickagg.yaml\n  clickagg topics " + name + " --config clickagg.yaml -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usage(fmt.Errorf("topics %s: --output %q is not table or json", name, output))
			}
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), topicsTimeout)
			defer cancel()
			log, err := topicsLog(ctx, cfg)
			if err != nil {
				return err
			}
			made, err := do(ctx, log, cfg)
			findings, err2 := findings(ctx, log, cfg)
			if err := errors.Join(err, err2, log.Close()); err != nil {
				return err
			}
			return tell(c.OutOrStdout(), output, made, findings)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	addKeys(c, "kafka", "input", "window", "watermark", "aggregator.shards", "reducer")
	return c
}

// topicsLog connects to the brokers whose topics are looked at.
func topicsLog(ctx context.Context, cfg config.Config) (*kafka.Log, error) {
	if len(cfg.Kafka.Brokers) == 0 {
		return nil, usage(errors.New("topics: kafka.brokers is empty: 'clickagg run' makes the topics of its own broker itself; " +
			"for those of a cluster set kafka.brokers"))
	}
	logger, err := ops.Logger(config.Log{Level: "warn", Format: cfg.Log.Format})
	if err != nil {
		return nil, usage(err)
	}
	kc, err := kafkaConfig(cfg)
	if err != nil {
		return nil, usage(err)
	}
	kc.ClientID = "clickagg-topics"
	return kafka.Open(ctx, kc, logger)
}

// createTopics makes the topics that are missing and returns them.
func createTopics(ctx context.Context, log *kafka.Log, cfg config.Config) ([]topology.Topic, error) {
	wanted := topology.Wanted(cfg, nil)
	found, err := log.DescribeTopics(ctx, names(wanted))
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(wanted, func(t topology.Topic) bool {
		return slices.ContainsFunc(found, func(f kafka.TopicState) bool { return f.Name == t.Name })
	})
	if len(missing) == 0 {
		return nil, nil
	}
	return missing, log.CreateTopics(ctx, topology.Specs(missing))
}

// checkTopology refuses topics with which counts would not be exact.
func checkTopology(ctx context.Context, log *kafka.Log, cfg config.Config) error {
	found, err := findings(ctx, log, cfg)
	if err != nil {
		return err
	}
	return topology.Verdict(found)
}

// findings compares the topics that are there with those that should be.
func findings(ctx context.Context, log *kafka.Log, cfg config.Config) ([]topology.Finding, error) {
	all, err := log.TopicNames(ctx)
	if err != nil {
		return nil, err
	}
	wanted := topology.Wanted(cfg, all)
	found, err := log.DescribeTopics(ctx, names(wanted))
	if err != nil {
		return nil, err
	}
	return topology.Compare(cfg, wanted, found), nil
}

func names(topics []topology.Topic) (names []string) {
	for _, t := range topics {
		names = append(names, t.Name)
	}
	return names
}

// tell prints what was made and what was found, and chooses the exit status.
func tell(w io.Writer, output string, made []topology.Topic, findings []topology.Finding) error {
	verdict := topology.Verdict(findings)
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if findings == nil {
			findings = []topology.Finding{}
		}
		answer := struct {
			Fits     bool               `json:"fits"`
			Made     []string           `json:"made,omitempty"`
			Findings []topology.Finding `json:"findings"`
		}{verdict == nil, names(made), findings}
		if err := e.Encode(answer); err != nil {
			return err
		}
	} else {
		for _, t := range made {
			fmt.Fprintf(w, "made %s: %d partitions, %d replicas\n", t.Name, t.Partitions, t.Replication)
		}
		if err := topology.Print(w, findings); err != nil {
			return err
		}
	}
	if verdict != nil {
		return &exit{status: 1, err: topology.ErrUnfit}
	}
	return nil
}
