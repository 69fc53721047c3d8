package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/dimension"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/status"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/topology"
	"github.com/clickagg/clickagg/mapper"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/reducer"
	"github.com/clickagg/clickagg/reducer/merge"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/carry"
	"github.com/clickagg/clickagg/storage/raw"
	"github.com/clickagg/clickagg/storage/roll"
	"github.com/clickagg/clickagg/storage/writer"
)

// The roles:
//
//	clicks ─▶ mapper ─▶ shuffle ─▶ aggregator ─▶ partials ─▶ reducer ─▶ results ──▶ writer ─▶ store ◀─ api
//	          a source              a shard                  a partition └▶ rankings ─▶ writer ──▲
//	          per partition         per partition
//	clicks ─▶ raw ─▶ raw store ─▶ archive ─▶ Parquet files
//	           raw store ─▶ reconcile ◀─ store
//
// Each part is one goroutine over one partition; parts meet in topics and in the
// store. Processes of one role share its partitions out among themselves. The
// first part that fails ends its process.
const (
	roleMapper     = status.RoleMapper
	roleAggregator = status.RoleAggregator
	roleReducer    = status.RoleReducer
	roleWriter     = status.RoleWriter
	roleAPI        = "api"
	roleRaw        = status.RoleRaw
	roleArchive    = "archive"
	roleReconcile  = "reconcile"
)

// allRoles are what --role=all runs, in the order of the pipeline: what it takes
// to count. Every role is those and the ones that only keep or compare.
var (
	allRoles  = []string{roleMapper, roleAggregator, roleReducer, roleWriter, roleAPI}
	everyRole = append(slices.Clone(allRoles), roleRaw, roleArchive, roleReconcile)
)

func parseRoles(text string) ([]string, error) {
	var roles []string
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		named := []string{name}
		if name == "all" {
			named = allRoles
		}
		for _, r := range named {
			switch {
			case !slices.Contains(everyRole, r):
				return nil, fmt.Errorf("--role %q: the roles are all, %s, or some of them with commas between", r, strings.Join(everyRole, ", "))
			case slices.Contains(roles, r):
				return nil, fmt.Errorf("--role %q: %s is named twice", text, r)
			}
			roles = append(roles, r)
		}
	}
	return roles, nil
}

// run starts every role of the process and returns when all have ended.
func (p *process) run(ctx context.Context) error {
	for _, r := range [...]struct {
		name  string
		build func() *role
	}{{roleMapper, p.mapRole}, {roleAggregator, p.aggregateRole}, {roleReducer, p.reduceRole}, {roleWriter, p.writeRole}, {roleRaw, p.rawRole}, {roleReconcile, p.reconcileRole}} {
		if p.has(r.name) {
			p.running = append(p.running, r.build())
		}
	}
	if p.has(roleArchive) {
		if err := p.archiveRole(ctx); err != nil {
			return err
		}
	}
	for _, r := range p.running {
		if r.check == nil {
			continue
		}
		if err := r.check(ctx); err != nil {
			return err
		}
	}
	if err := p.listen(); err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	for _, f := range p.beside {
		parts.Go(func() error { return f(ctx) })
	}
	for _, r := range p.running {
		parts.Go(func() error { return p.share(ctx, r) })
	}
	p.logger.Info("at work", zap.Strings("roles", p.roles), zap.Strings("input", p.cfg.Input.Topics), zap.String("data_dir", p.cfg.DataDir))
	return parts.Wait()
}

// listen binds the addresses of the process, so that a port in use is known before
// anything starts, and adds what runs beside the roles.
func (p *process) listen() error {
	health := ops.Health{Alive: func() error { return nil }, Unready: p.unready}
	if p.cfg.Ops.Listen != "" {
		server, err := ops.NewServer(p.cfg.Ops.Listen, p.reg, health)
		if err != nil {
			return err
		}
		p.beside = append(p.beside, server.Run)
	}
	if p.has(roleAPI) {
		c, err := apiConfig(p.cfg, p.logger)
		if err != nil {
			return err
		}
		c.Clicks, c.Stored, c.Replay, c.Ender = p.clicks(), p.reconciler(), p.replayer(), p.replayer().Publisher
		server, err := api.New(c, p.store, p.status, p.unready, time.Now, p.logger, p.reg)
		if err != nil {
			return err
		}
		p.beside = append(p.beside, server.Run)
		p.logger.Info("answering", zap.String("api", server.URL()))
	}
	p.beside = append(p.beside, func(ctx context.Context) error { return ops.Notify(ctx, health, p.logger) })
	if p.board != nil {
		p.beside = append(p.beside, func(ctx context.Context) error { return status.Follow(ctx, p.log, p.topics.Status, p.board) })
		if !p.has(roleMapper, roleRaw) { // which look for new inputs themselves
			p.beside = append(p.beside, func(ctx context.Context) error {
				return p.inputs.watch(ctx, p.log, p.cfg, func(int32) {})
			})
		}
	}
	if p.cluster() && len(p.running) > 0 {
		p.beside = append(p.beside, func(ctx context.Context) error {
			return status.Publish(ctx, p.log, p.topics.Status, p.entries, stream.Wall{}, p.logger)
		})
	}
	return nil
}

func (p *process) mapRole() *role {
	m := mapper.New(p.log, p.mapperConfig(), int32(len(p.inputs.partitions())), stream.Wall{}, p.mapper, p.logger)
	p.beside = append(p.beside,
		func(ctx context.Context) error { return p.inputs.watch(ctx, p.log, p.cfg, m.SetSources) },
		func(ctx context.Context) error { return m.Watch(ctx, p.inputs.partitions) },
		p.watchFilters)
	return &role{
		name: roleMapper, group: p.group(roleMapper), partitions: p.inputs.partitions, working: func() int { return len(p.mapper.Sources()) },
		check: func(ctx context.Context) error {
			if err := m.Check(ctx, p.inputs.partitions()); err != nil {
				return err
			}
			// Before the first click: what an installation begins with is counted by them.
			return p.sayFilters(ctx, p.cfg)
		},
		work: func(ctx context.Context, part stream.Partition) error {
			t, err := p.log.Topic(ctx, part.Topic)
			if err != nil {
				return err
			}
			return m.Source(ctx, t, part.Number)
		},
	}
}

func (p *process) mapperConfig() mapper.Config {
	c := p.cfg
	judge := look(c)
	judge.Size, judge.Lateness, judge.Delay = c.Window.Size.Milliseconds(), c.Window.AllowedLateness.Milliseconds(), c.Watermark.Delay.Milliseconds()
	judge.MaxFuture, judge.IdleTimeout = c.Watermark.MaxFuture.Milliseconds(), c.Watermark.IdleTimeout.Milliseconds()
	judge.SectionClicks = c.Mapper.SectionClicks
	judge.Router, judge.Shards = click.NewRouter(p.facts.Cluster.Secret, p.facts.Cluster.Shards), p.facts.Cluster.Shards
	judge.Rules = click.Rules{
		Horizon: c.Dedupe.Horizon.Milliseconds(), MaxIDs: int64(c.Aggregator.MaxIDs), MaxAds: int64(c.Aggregator.MaxAds),
		Top: int64(c.Aggregator.Top), Tick: c.Aggregator.Tick.Milliseconds(),
	}
	return mapper.Config{
		Group: p.group(roleMapper), Topics: p.topics, Trusted: p.trusted, Rules: c.Judging(), Rule: judge,
		CommitInterval: c.Mapper.CommitInterval, Heartbeat: c.Mapper.Heartbeat, SkewMargin: c.Watermark.SkewMargin,
		MaxLead: c.Mapper.MaxLead, Ahead: max(2*c.Window.Size, openAhead), Rejected: topology.RejectedPartitions, Late: topology.RejectedPartitions,
	}
}

// look says how a click looks.
func look(c config.Config) rule.Config {
	unit, _ := rule.ParseTimeUnit(c.Input.TimeUnit) // the config room refuses any other
	return rule.Config{
		EventIDField: c.Input.Fields.EventID, AdIDField: c.Input.Fields.AdID, TimeField: c.Input.Fields.Time, TimeUnit: unit,
		DedupeKey: c.Dedupe.Key, MaxRecordBytes: c.Input.MaxRecordBytes,
	}
}

// clicks answers from the clicks themselves.
func (p *process) clicks() *recount.Installation {
	return &recount.Installation{
		Log: p.log, Raw: p.rawStore, Archived: p.archived(), Control: p.topics.Control, Shuffle: p.topics.Shuffle, Inputs: p.inputs.partitions,
		Judge: p.mapperConfig().Rule, Trusted: p.trusted, Types: p.cfg.FieldTypes(), Skew: p.cfg.Watermark.SkewMargin,
		Workers: p.workers(),
	}
}

// workers is how many sources a recount reads and judges at once. Three keep up with what counts, so more would
// not help. Beside what counts live it is one: with two on two cores clicks were visible two and a half times as
// late, with one less than twice.
func (p *process) workers() int {
	for _, live := range []string{roleMapper, roleAggregator, roleReducer, roleWriter, roleRaw} {
		if slices.Contains(p.roles, live) {
			return 1
		}
	}
	return min(runtime.GOMAXPROCS(0), 3)
}

// openAhead is the least event time that mappers open at once: each time is a record.
const openAhead = 2 * time.Minute

func (p *process) aggregateRole() *role {
	c, cluster := p.cfg, p.facts.Cluster
	group := p.group(roleAggregator)
	if c.Aggregator.StandbyGroup != "" {
		group += "." + c.Aggregator.StandbyGroup
	}
	a := aggregator.New(p.log, p.blobs, aggregator.Config{
		Group: group, Standby: c.Aggregator.StandbyGroup, Cluster: cluster.ID, Topics: p.topics,
		Window:    window.Config{Shards: cluster.Shards, Reducers: cluster.Reducers, Size: cluster.WindowMS, Filter: click.FilterAll},
		Snapshots: c.Aggregator.SnapshotInterval, Rejected: topology.RejectedPartitions,
		Hot: aggregator.Hot{
			Threshold: int64(c.Hot.Threshold), Shards: spreadOver(c.Hot.Spread, cluster.Shards),
			Router: click.NewRouter(cluster.Secret, cluster.Shards),
		},
	}, stream.Wall{}, p.aggregator, p.logger)
	return &role{
		name: roleAggregator, group: group, partitions: p.shuffle, working: func() int { return len(p.aggregator.Shards()) },
		work: func(ctx context.Context, part stream.Partition) error { return a.Shard(ctx, part.Number) },
	}
}

func (p *process) reduceRole() *role {
	c, cluster := p.cfg, p.facts.Cluster
	r := reducer.New(p.log, p.blobs, reducer.Config{
		Group: p.group(roleReducer), Cluster: cluster.ID, Topics: p.topics,
		Merge:     merge.Config{Reducers: cluster.Reducers},
		Snapshots: c.Aggregator.SnapshotInterval, Results: topology.ResultsPartitions, Rankings: cluster.Reducers,
	}, stream.Wall{}, p.reducer, p.logger)
	return &role{
		name: roleReducer, group: p.group(roleReducer), partitions: p.partials, working: func() int { return len(p.reducer.Reducers()) },
		work: func(ctx context.Context, part stream.Partition) error { return r.Partition(ctx, part.Number) },
	}
}

func (p *process) writeRole() *role {
	w := writer.New(p.log, p.store, writer.Config{
		Group: p.group(roleWriter), Topics: p.topics, Window: p.facts.Cluster.WindowMS, CommitInterval: time.Second, Refusals: p.refusals(),
	}, stream.Wall{}, p.writer, p.logger)
	p.beside = append(p.beside, func(ctx context.Context) error {
		return dimension.Follow(ctx, p.log, p.topics.Control, p.facts, stream.Wall{}, p.logger, func(ctx context.Context, facts *control.Facts) error {
			return dimension.Keep(ctx, p.store, facts)
		})
	})
	k := roll.New(p.store, p.rollConfig(), stream.Wall{}, p.roll, p.logger)
	return &role{
		name: roleWriter, group: p.group(roleWriter), partitions: p.results, working: func() int { return len(p.writer.Partitions()) },
		work: func(ctx context.Context, part stream.Partition) error {
			switch {
			case part.Topic == p.topics.Results && part.Number == 0: // whoever has it rolls up for all
				parts, ctx := errgroup.WithContext(ctx)
				parts.Go(func() error { return w.Results(ctx, part.Number) })
				parts.Go(func() error { return k.Run(ctx) })
				return parts.Wait()
			case part.Topic == p.topics.Results:
				return w.Results(ctx, part.Number)
			default:
				return w.Rankings(ctx, part.Number)
			}
		},
	}
}

// refusals is what the roles do when a store does not take what they have.
func (p *process) refusals() carry.Refusals {
	return carry.Refusals{
		RetryMax: p.cfg.Writer.RetryMaxWait, Most: p.cfg.Writer.MaxRefused, Topic: p.topics.Rejected, Partitions: topology.RejectedPartitions,
	}
}

// rollInterval is how often is looked for hours and days to roll up.
const rollInterval = 10 * time.Second

func (p *process) rollConfig() roll.Config {
	zone, _ := time.LoadLocation(p.cfg.Window.TimeZone) // the config room refuses any other
	c := roll.Config{Calendar: calendar.New(zone, p.cfg.Window.Size), Top: p.cfg.Aggregator.Top, Interval: rollInterval}
	for u := storage.Hour; u <= storage.Day; u++ {
		if slices.Contains(p.cfg.Window.Rollups, u.String()) {
			c.Units = append(c.Units, u)
		}
	}
	return c
}

func (p *process) rawRole() *role {
	k := raw.New(p.log, p.rawStore, raw.Config{Group: p.group(roleRaw), CommitInterval: time.Second, Refusals: p.refusals()}, stream.Wall{}, p.raw, p.logger)
	if !p.has(roleMapper) { // which looks for new inputs itself
		p.beside = append(p.beside, func(ctx context.Context) error {
			return p.inputs.watch(ctx, p.log, p.cfg, func(int32) {})
		})
	}
	return &role{
		name: roleRaw, group: p.group(roleRaw), partitions: p.inputs.partitions, working: func() int { return len(p.raw.Partitions()) },
		work: func(ctx context.Context, part stream.Partition) error { return k.Source(ctx, part.Topic, part.Number) },
	}
}

// spreadOver is over how many shards a hot ad is spread: 0 stands for all.
func spreadOver(configured int, shards int32) int32 {
	if configured == 0 {
		return shards
	}
	return min(int32(configured), shards)
}

// group names the consumer group of a role.
func (p *process) group(role string) string { return p.cfg.Kafka.TopicPrefix + "." + role }

// trusted tells whose watermark records are believed: the configured topics', or
// when none is configured those of the embedded broker, which only this machine reaches.
func (p *process) trusted(topic string) bool {
	if len(p.cfg.Watermark.TrustedTopics) == 0 {
		return !p.cluster()
	}
	return slices.Contains(p.cfg.Watermark.TrustedTopics, topic)
}
