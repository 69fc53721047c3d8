package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// Input is clicks in a topic, and the right answer to them.
type Input struct {
	Topic      string
	Partitions int32
	Sent       int64
	Until      int64 // everything before it becomes final, Unix ms
	Truth      *gen.Truth
}

// Options say what is measured.
type Options struct {
	Binary  string
	Brokers []string // of a Kafka; empty is the broker inside the one process

	Input  Input       // what is in the topic, with Kafka
	Stream gen.Options // what is sent, without

	Prefix    string            // of the run's own topics; no other run of this Kafka has it
	Processes int               // with Kafka: how many, each with every role that results need; 0 is 1
	Keys      map[string]string // of the configuration, beside those that every run needs

	// Beside, when set, runs while clicks are counted, and is to return soon after
	// ctx has ended. Ops is the first process's address for metrics and profiles.
	Beside func(ctx context.Context, ops string)
}

// Run is what was measured.
type Run struct {
	Clicks int64
	Whole  time.Duration // from the start of the processes, or of the sending, to the last result
	Work   time.Duration // the same from the first clicks that were handed to a shard
	Usage  bench.Usage   // of all processes, with their start when the clicks were there before
}

// Preload makes a topic of a Kafka and fills it with clicks and the watermarks that
// end them.
func Preload(ctx context.Context, brokers []string, topic string, partitions int32, o gen.Options) (Input, error) {
	log, err := dial(ctx, brokers)
	if err != nil {
		return Input{}, err
	}
	defer func() { _ = log.Close() }()
	err = log.CreateTopics(ctx, []kafka.TopicSpec{{
		Name: topic, Partitions: partitions, Replication: 1, Configs: map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"},
	}})
	if err != nil {
		return Input{}, fmt.Errorf("preload: %w", err)
	}
	r, truth, err := load.Generate(ctx, log, load.GenerateOptions{Gen: o, Topic: topic, Finish: true})
	if err != nil {
		return Input{}, fmt.Errorf("preload: %w", err)
	}
	return Input{Topic: topic, Partitions: partitions, Sent: r.Sent, Until: r.Watermark, Truth: truth}, nil
}

// longest is how long a run may take before it is given up.
const longest = 10 * time.Minute

// Measure runs clickagg once, and compares what it says with the truth.
func Measure(ctx context.Context, o Options) (_ Run, err error) {
	ctx, stop := context.WithTimeout(ctx, longest)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c, err := newCluster(&o, cancel)
	if err != nil {
		return Run{}, fmt.Errorf("pipeline: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("pipeline: %w\n%s", errors.Join(err, context.Cause(ctx)), bench.Tails(c.members))
		}
		err = errors.Join(err, c.close())
	}()
	if err := c.createTopics(); err != nil {
		return Run{}, err
	}
	run, err := c.measure(ctx)
	if err == nil {
		err = c.check(ctx)
	}
	return run, err
}

// measure starts the processes and waits for the last result.
func (c *cluster) measure(ctx context.Context) (run Run, err error) {
	began := time.Now()
	if err := c.start(); err != nil {
		return run, err
	}
	if c.log, err = dial(ctx, c.brokers); err != nil {
		return run, err
	}
	beside := c.beside(ctx)
	defer beside()
	var before bench.Usage
	worked := make(chan time.Time, 1)
	if c.o.Input.Topic == "" {
		if err := c.topicsThere(ctx); err != nil {
			return run, err
		}
		if before, err = c.usage(); err != nil {
			return run, err
		}
		began = time.Now()
		worked <- began
		r, truth, err := load.Generate(ctx, c.log, load.GenerateOptions{Gen: c.o.Stream, Topic: inputTopic, Finish: true})
		if err != nil {
			return run, err
		}
		c.o.Input = Input{Topic: inputTopic, Sent: r.Sent, Until: r.Watermark, Truth: truth}
	} else {
		go func() { worked <- c.firstSection(ctx) }()
	}
	if err := c.awaitFinal(ctx); err != nil {
		return run, err
	}
	end := time.Now()
	used, err := c.usage()
	if err != nil {
		return run, err
	}
	used.CPU -= before.CPU
	return Run{Clicks: c.o.Input.Sent, Whole: end.Sub(began), Work: end.Sub(<-worked), Usage: used}, nil
}

// beside starts what is to run meanwhile, and returns how to end it.
func (c *cluster) beside(ctx context.Context) (end func()) {
	if c.o.Beside == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.o.Beside(ctx, c.ops)
	}()
	return func() {
		cancel()
		<-done
	}
}

// firstSection waits until a shard was handed something, and returns when.
func (c *cluster) firstSection(ctx context.Context) time.Time {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for shard := range c.shards() {
			if _, end, err := c.log.Bounds(ctx, c.topics.Shuffle, shard); err == nil && end > 0 {
				return time.Now()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Now()
		}
	}
}

// topicsThere waits until the process has made its topics.
func (c *cluster) topicsThere(ctx context.Context) error {
	for {
		_, err := c.log.Topic(ctx, c.topics.Results)
		if err == nil {
			_, err = c.log.Topic(ctx, inputTopic)
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (c *cluster) shards() int32 {
	n, err := strconv.ParseInt(c.o.Keys["aggregator.shards"], 10, 32)
	if err != nil {
		return 1
	}
	return int32(n)
}

func dial(ctx context.Context, brokers []string) (*kafka.Log, error) {
	return kafka.Open(ctx, kafka.Config{Brokers: brokers, ClientID: "bench"}, zap.NewNop())
}
