package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/stream"
	broker "github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/mapper"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/reducer"
	"github.com/clickagg/clickagg/reducer/merge"
	"github.com/clickagg/clickagg/storage"
	store "github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/writer"
)

// The process, --role=all:
//
//	clicks ─▶ mapper ─▶ shuffle ─▶ aggregator ─▶ partials ─▶ reducer ─▶ results ──▶ writer ─▶ store ◀─ api
//	          a source              a shard                  a partition └▶ rankings ─▶ writer ──▲
//	          per partition         per partition
//
// Each part is one goroutine over one partition; parts meet in topics and in
// the store. The first part that fails stops all.
type process struct {
	ctx    context.Context // for questions that outlive none
	cfg    config.Config
	logger *zap.Logger
	reg    *prometheus.Registry
	topics click.Topics

	log    *kafka.Log
	store  storage.Store
	blobs  blob.Store
	facts  control.Facts
	inputs []stream.Topic

	mapper     *mapper.Metrics
	aggregator *aggregator.Metrics
	reducer    *reducer.Metrics
	writer     *writer.Metrics

	closers []func() error // in the order of opening
}

// Partitions of the topics whose number is free to choose.
const (
	resultsPartitions  = 4
	rejectedPartitions = 1
)

// open brings up what the parts stand on, in order.
func (p *process) open(ctx context.Context) error {
	unlock, err := ops.Lock(p.cfg.DataDir)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, func() error { unlock(); return nil })
	p.topics = click.TopicsOf(p.cfg.Kafka.TopicPrefix)
	brokers := p.cfg.Kafka.Brokers
	if len(brokers) == 0 {
		b, err := broker.Start(ctx, broker.Config{
			Dir: filepath.Join(p.cfg.DataDir, "broker"), Listen: p.cfg.Embedded.Listen, SyncWrites: p.cfg.Embedded.SyncWrites,
			Retention: p.cfg.Kafka.Retention,
		}, p.logger)
		if err != nil {
			return err
		}
		p.closers = append(p.closers, b.Close)
		brokers = []string{b.Addr()}
	}
	p.log, err = kafka.Open(ctx, kafka.Config{
		Brokers: brokers, ClientID: "clickagg",
		RequireAppendTime: func(topic string) bool { return slices.Contains(p.cfg.Input.Topics, topic) },
	}, p.logger)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, p.log.Close)
	if err := p.log.CreateTopics(ctx, p.topicSpecs()); err != nil {
		return err
	}
	for _, name := range p.cfg.Input.Topics {
		t, err := p.log.Topic(ctx, name)
		if err != nil {
			return fmt.Errorf("input.topics: %w", err)
		}
		p.inputs = append(p.inputs, t)
	}
	p.facts, err = control.Settle(ctx, p.log, p.topics.Control, control.Cluster{
		Shards: int32(p.cfg.Aggregator.Shards), Reducers: int32(p.cfg.Reducer.Partitions), WindowMS: p.cfg.Window.Size.Milliseconds(),
	})
	if err != nil {
		return err
	}
	s, err := store.Open(filepath.Join(p.cfg.DataDir, "store"), store.Options{Logger: p.logger, Owner: p.facts.Cluster.ID})
	if err != nil {
		return err
	}
	p.store = s
	p.closers = append(p.closers, s.Close)
	p.blobs, err = blob.OpenDir(filepath.Join(p.cfg.DataDir, "snapshots"))
	return err
}

// topicSpecs lists the topics an installation needs. What a stage reads is kept
// as long as the clicks, so that it can do without snapshots; control for ever.
func (p *process) topicSpecs() []kafka.TopicSpec {
	keep := map[string]string{"retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "LogAppendTime"}
	some := map[string]string{
		"retention.ms": fmt.Sprint(p.cfg.Kafka.Retention.Milliseconds()), "retention.bytes": "-1", "message.timestamp.type": "LogAppendTime",
	}
	spec := func(name string, partitions int, configs map[string]string) kafka.TopicSpec {
		return kafka.TopicSpec{Name: name, Partitions: int32(partitions), Replication: 1, Configs: configs}
	}
	specs := []kafka.TopicSpec{
		spec(p.topics.Shuffle, p.cfg.Aggregator.Shards, some), spec(p.topics.Partials, p.cfg.Reducer.Partitions, some),
		spec(p.topics.Results, resultsPartitions, some), spec(p.topics.Rankings, p.cfg.Reducer.Partitions, some),
		spec(p.topics.Rejected, rejectedPartitions, some), spec(p.topics.Late, rejectedPartitions, some),
		spec(p.topics.Control, 1, keep),
	}
	for _, name := range p.cfg.Input.Topics {
		specs = append(specs, spec(name, p.cfg.Input.Partitions, some))
	}
	return specs
}

// run starts every part and returns when all have ended.
func (p *process) run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	server, err := api.New(api.Config{Listen: p.cfg.API.Listen, Window: p.cfg.Window.Size}, p.store, p.status, p.unready, time.Now, p.logger, p.reg)
	if err != nil {
		return err
	}
	if err := control.Begin(ctx, p.log, p.topics.Control, p.facts.Run, p.cfg.Judging()); err != nil {
		return errors.Join(err, server.Close())
	}
	parts.Go(func() error { return server.Run(ctx) })
	if p.cfg.Ops.Listen != "" {
		parts.Go(func() error { return ops.Serve(ctx, p.cfg.Ops.Listen, p.reg) })
	}
	p.mapSources(ctx, parts)
	p.aggregateShards(ctx, parts)
	p.reducePartitions(ctx, parts)
	p.writeResults(ctx, parts)
	p.logger.Info("counting", zap.Strings("input", p.cfg.Input.Topics), zap.String("data_dir", p.cfg.DataDir), zap.String("api", "http://"+server.Addr().String()))
	if err := parts.Wait(); err != nil {
		return err
	}
	ending, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	return control.End(ending, p.log, p.topics.Control, p.cfg.Judging())
}

func (p *process) mapSources(ctx context.Context, parts *errgroup.Group) {
	c := p.cfg
	unit, _ := rule.ParseTimeUnit(c.Input.TimeUnit) // the config room refuses any other
	var sources int32
	for _, t := range p.inputs {
		sources += t.Partitions
	}
	m := mapper.New(p.log, mapper.Config{
		Group: c.Kafka.TopicPrefix + ".mapper", Topics: p.topics, Trusted: p.trusted,
		Rule: rule.Config{
			Size: c.Window.Size.Milliseconds(), Lateness: c.Window.AllowedLateness.Milliseconds(), Delay: c.Watermark.Delay.Milliseconds(),
			MaxFuture: c.Watermark.MaxFuture.Milliseconds(), IdleTimeout: c.Watermark.IdleTimeout.Milliseconds(),
			EventIDField: c.Input.Fields.EventID, AdIDField: c.Input.Fields.AdID, TimeField: c.Input.Fields.Time, TimeUnit: unit,
			DedupeKey: c.Dedupe.Key, MaxRecordBytes: c.Input.MaxRecordBytes, SectionClicks: c.Mapper.SectionClicks,
			Router: click.NewRouter(p.facts.Cluster.Secret, p.facts.Cluster.Shards), Shards: p.facts.Cluster.Shards,
		},
		CommitInterval: c.Mapper.CommitInterval, Heartbeat: c.Mapper.Heartbeat, SkewMargin: c.Watermark.SkewMargin,
		MaxLead: c.Mapper.MaxLead, Rejected: rejectedPartitions, Late: rejectedPartitions,
	}, sources, stream.Wall{}, p.mapper, p.logger)
	for _, t := range p.inputs {
		for i := range t.Partitions {
			parts.Go(func() error { return m.Source(ctx, t, i) })
		}
	}
}

// trusted tells whose watermark records are believed: the configured topics', or
// when none is configured those of the embedded broker, which only this machine reaches.
func (p *process) trusted(topic string) bool {
	if len(p.cfg.Watermark.TrustedTopics) == 0 {
		return len(p.cfg.Kafka.Brokers) == 0
	}
	return slices.Contains(p.cfg.Watermark.TrustedTopics, topic)
}

func (p *process) aggregateShards(ctx context.Context, parts *errgroup.Group) {
	c, cluster := p.cfg, p.facts.Cluster
	a := aggregator.New(p.log, p.blobs, aggregator.Config{
		Group: c.Kafka.TopicPrefix + ".aggregator", Cluster: cluster.ID, Topics: p.topics,
		Window: window.Config{
			Shards: cluster.Shards, Reducers: cluster.Reducers, Size: cluster.WindowMS, Lateness: c.Window.AllowedLateness.Milliseconds(),
			Horizon: c.Dedupe.Horizon.Milliseconds(), Tick: c.Aggregator.Tick.Milliseconds(), Top: c.Aggregator.Top,
			MaxIDs: c.Aggregator.MaxIDs, MaxAds: c.Aggregator.MaxAds, Filter: click.FilterAll,
		},
		Snapshots: c.Aggregator.SnapshotInterval, Rejected: rejectedPartitions,
	}, stream.Wall{}, p.aggregator, p.logger)
	for i := range cluster.Shards {
		parts.Go(func() error { return a.Shard(ctx, i) })
	}
}

func (p *process) reducePartitions(ctx context.Context, parts *errgroup.Group) {
	c, cluster := p.cfg, p.facts.Cluster
	r := reducer.New(p.log, p.blobs, reducer.Config{
		Group: c.Kafka.TopicPrefix + ".reducer", Cluster: cluster.ID, Topics: p.topics,
		Merge: merge.Config{
			Reducers: cluster.Reducers, Top: c.Aggregator.Top, Lateness: c.Window.AllowedLateness.Milliseconds(), Tick: c.Aggregator.Tick.Milliseconds(),
		},
		Snapshots: c.Aggregator.SnapshotInterval, Results: resultsPartitions, Rankings: cluster.Reducers,
	}, stream.Wall{}, p.reducer, p.logger)
	for i := range cluster.Reducers {
		parts.Go(func() error { return r.Partition(ctx, i) })
	}
}

func (p *process) writeResults(ctx context.Context, parts *errgroup.Group) {
	w := writer.New(p.log, p.store, writer.Config{
		Group: p.cfg.Kafka.TopicPrefix + ".writer", Topics: p.topics, CommitInterval: time.Second,
	}, stream.Wall{}, p.writer, p.logger)
	for i := range int32(resultsPartitions) {
		parts.Go(func() error { return w.Results(ctx, i) })
	}
	for i := range p.facts.Cluster.Reducers {
		parts.Go(func() error { return w.Rankings(ctx, i) })
	}
}

// close undoes open, the last opened first.
func (p *process) close() error {
	var errs []error
	for _, c := range slices.Backward(p.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}
