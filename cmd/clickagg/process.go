package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/blob/place"
	"github.com/clickagg/clickagg/internal/blob/s3"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/hot"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/internal/status"
	"github.com/clickagg/clickagg/internal/stream"
	broker "github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/topology"
	"github.com/clickagg/clickagg/mapper"
	"github.com/clickagg/clickagg/reducer"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/carry"
	"github.com/clickagg/clickagg/storage/cassandra"
	store "github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/raw"
	"github.com/clickagg/clickagg/storage/roll"
	"github.com/clickagg/clickagg/storage/writer"
)

// process is what the roles of one process stand on.
type process struct {
	ctx    context.Context // for questions that outlive none
	cfg    config.Config
	roles  []string
	logger *zap.Logger
	reg    *prometheus.Registry
	topics click.Topics

	id       string // names this process in its groups
	log      *kafka.Log
	store    storage.Store    // nil without a role that needs it
	rawStore storage.RawStore // likewise
	blobs    blob.Store       // likewise
	facts    control.Facts
	inputs   inputs
	hot      *hot.Board                        // what is spread
	filters  atomic.Pointer[control.FilterSet] // what this process said; nil when its configuration does not speak of them
	board    *status.Board                     // what other processes say; nil when there are none

	mapper     *mapper.Metrics
	aggregator *aggregator.Metrics
	reducer    *reducer.Metrics
	writer     *carry.Metrics
	roll       *roll.Metrics
	raw        *carry.Metrics
	archive    *archive.Metrics
	reconcile  *reconcile.Metrics
	correct    *correct.Metrics

	running []*role
	beside  []func(context.Context) error // what runs beside the roles
	closers []func() error                // in the order of opening
}

func newProcess(ctx context.Context, cfg config.Config, roles []string, logger *zap.Logger) *process {
	reg := ops.Registry()
	return &process{
		inputs: inputs{logger: logger}, ctx: context.WithoutCancel(ctx), cfg: cfg, roles: roles, logger: logger, reg: reg, topics: click.TopicsOf(cfg.Kafka.TopicPrefix),
		mapper: mapper.NewMetrics(reg), aggregator: aggregator.NewMetrics(reg),
		reducer: reducer.NewMetrics(reg), writer: writer.NewMetrics(reg), roll: roll.NewMetrics(reg), raw: raw.NewMetrics(reg), archive: archive.NewMetrics(reg),
		reconcile: reconcile.NewMetrics(reg), correct: correct.NewMetrics(reg),
	}
}

// has tells whether this process runs one of the roles.
func (p *process) has(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(p.roles, r) })
}

// cluster tells whether other processes work in the same installation.
func (p *process) cluster() bool { return len(p.cfg.Kafka.Brokers) > 0 }

// open brings up what the roles stand on, in order.
func (p *process) open(ctx context.Context) error {
	unlock, err := ops.Lock(p.cfg.DataDir)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, func() error { unlock(); return nil })
	if p.id, err = ops.ProcessID(p.cfg.DataDir); err != nil {
		return err
	}
	if err := p.openLog(ctx); err != nil {
		return err
	}
	p.facts, err = control.Settle(ctx, p.log, p.topics.Control, control.Cluster{
		Shards: int32(p.cfg.Aggregator.Shards), Reducers: int32(p.cfg.Reducer.Partitions), WindowMS: p.cfg.Window.Size.Milliseconds(),
	}, p.topics.Shuffle)
	if err != nil {
		return err
	}
	p.hot = hot.NewBoard(p.log, p.topics.Control, p.facts)
	if err := ops.Remember(p.cfg.DataDir, p.facts.Cluster.ID); err != nil {
		return err
	}
	if p.has(roleWriter, roleAPI, roleRaw, roleArchive, roleReconcile) {
		if err := p.openStore(ctx); err != nil {
			return err
		}
	}
	if p.has(roleAggregator, roleReducer) {
		return p.openSnapshots(ctx)
	}
	return nil
}

// openLog connects to the brokers, or starts one, and sees to it that the topics
// are as they must be.
func (p *process) openLog(ctx context.Context) error {
	cfg := p.cfg
	if !p.cluster() {
		b, err := broker.Start(ctx, broker.Config{
			Dir: filepath.Join(cfg.DataDir, "broker"), Listen: cfg.Embedded.Listen, SyncWrites: cfg.Embedded.SyncWrites, Retention: cfg.Kafka.Retention,
		}, p.logger)
		if err != nil {
			return err
		}
		p.closers = append(p.closers, b.Close)
		cfg.Kafka.Brokers = []string{b.Addr()}
	}
	kc, err := kafkaConfig(cfg)
	if err != nil {
		return usage(err)
	}
	kc.RequireAppendTime = p.isInput
	if p.log, err = kafka.Open(ctx, kc, p.logger); err != nil {
		return err
	}
	p.closers = append(p.closers, p.log.Close)
	if !p.cluster() {
		if err := p.log.CreateTopics(ctx, topology.Embedded(p.cfg)); err != nil {
			return err
		}
	} else if err := checkTopology(ctx, p.log, p.cfg); err != nil {
		return err
	}
	if err := p.inputs.refresh(ctx, p.log, p.cfg); err != nil {
		return err
	}
	if p.cluster() && p.has(roleAPI) {
		p.board = status.NewBoard()
	}
	return nil
}

// isInput tells whether clicks are read from a topic.
func (p *process) isInput(topic string) bool {
	return slices.ContainsFunc(p.cfg.Input.Topics, func(pattern string) bool { return config.Matches(pattern, topic) })
}

// openStore opens what the roles of this process store in or answer from.
func (p *process) openStore(ctx context.Context) error {
	if len(p.cfg.Cassandra.Hosts) > 0 {
		o := cassandraOptions(p.cfg)
		o.Owner, o.Logger = p.facts.Cluster.ID, p.logger
		s, err := p.reach(ctx, o)
		if err != nil {
			return err
		}
		p.store, p.rawStore = s, s.Raw()
		p.closers = append(p.closers, s.Close)
		return nil
	}
	own := func(dir string) (*store.Store, error) {
		s, err := store.Open(filepath.Join(p.cfg.DataDir, dir), store.Options{Logger: p.logger, Owner: p.facts.Cluster.ID})
		if err == nil {
			p.closers = append(p.closers, s.Close)
		}
		return s, err
	}
	if p.has(roleWriter, roleAPI) {
		s, err := own("store")
		if err != nil {
			return err
		}
		p.store = s
	}
	if p.has(roleRaw, roleArchive) {
		s, err := own("raw")
		if err != nil {
			return err
		}
		p.rawStore = s.Raw()
		p.beside = append(p.beside, func(ctx context.Context) error { return p.expire(ctx, s.Raw()) })
	}
	return nil
}

// expire deletes raw records that are old enough from the process's own store, as
// Cassandra does by itself; but none that has to be archived first.
func (p *process) expire(ctx context.Context, raw *store.Raw) error {
	for {
		keep, err := p.keepUnarchived(ctx)
		if err == nil {
			err = raw.Expire(ctx, time.Now().Add(-p.cfg.Cassandra.RawTTL).UnixMilli(), keep)
		}
		if err != nil && ctx.Err() == nil {
			p.logger.Warn("old raw records are not deleted; tried again in an hour", zap.Error(err))
		}
		if (stream.Wall{}).Sleep(ctx, time.Hour) != nil {
			return nil
		}
	}
}

// reach opens the store of a cluster, and waits for one that is away.
func (p *process) reach(ctx context.Context, o cassandra.Options) (*cassandra.Store, error) {
	for wait := time.Second; ; wait = min(2*wait, 10*time.Second) {
		s, err := cassandra.Open(ctx, o)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, storage.ErrUnavailable) || ctx.Err() != nil {
			return nil, err
		}
		p.logger.Warn("Cassandra is away; waiting for it", zap.Duration("wait", wait), zap.Error(err))
		if (stream.Wall{}).Sleep(ctx, wait) != nil {
			return nil, err
		}
	}
}

func (p *process) openSnapshots(ctx context.Context) error {
	store, end, err := openPlace(ctx, "snapshots", p.cfg.Snapshots.URL, p.cfg, p.cfg.Snapshots.S3, p.logger)
	if err != nil {
		return err
	}
	p.blobs = store
	p.closers = append(p.closers, end)
	return nil
}

// openPlace opens the place that a section of the configuration names. What is archived is for other
// programs to read, too.
func openPlace(ctx context.Context, section, url string, cfg config.Config, c config.S3, logger *zap.Logger) (blob.Ranger, func() error, error) {
	o := s3.Options{
		Endpoint: c.Endpoint, Region: c.Region, AccessKey: c.AccessKey.Reveal(), SecretKey: c.SecretKey.Reveal(),
		Section: section, Plain: section == "archive",
	}
	if c.CAFile != "" {
		tls, warnings, err := secure.ClientTLS(secure.Files{CA: c.CAFile}, time.Now())
		if err != nil {
			return nil, nil, usage(fmt.Errorf("%s.s3: %w", section, err))
		}
		for _, w := range warnings {
			logger.Warn(section + ".s3: " + w)
		}
		o.TLS = tls
	}
	return place.Open(ctx, url, filepath.Join(cfg.DataDir, section), o)
}

// close undoes open, the last opened first.
func (p *process) close() error {
	var errs []error
	for _, c := range slices.Backward(p.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// possible says why a process cannot run these roles with this configuration.
func possible(cfg config.Config, roles []string) error {
	lone := len(cfg.Kafka.Brokers) == 0
	some := slices.ContainsFunc(allRoles, func(r string) bool { return !slices.Contains(roles, r) })
	if lone && some {
		return fmt.Errorf("--role=%s: without kafka.brokers the broker is inside the one process, which then runs all roles: set kafka.brokers, or --role=all",
			roles[0])
	}
	writes, answers, compares := slices.Contains(roles, roleWriter), slices.Contains(roles, roleAPI), slices.Contains(roles, roleReconcile)
	if (writes != answers || compares && !writes) && len(cfg.Cassandra.Hosts) == 0 {
		return fmt.Errorf("--role=%s: without cassandra.hosts counts are kept in data_dir, where writer, api and reconcile must be one process: "+
			"set cassandra.hosts, or run these roles together", roles[0])
	}
	keeps, archives := slices.Contains(roles, roleRaw), slices.Contains(roles, roleArchive)
	switch {
	case archives && cfg.Archive.After == 0:
		return fmt.Errorf("--role=%s: %w", roleArchive, errNoAfter)
	case archives && !keeps && len(cfg.Cassandra.Hosts) == 0:
		return fmt.Errorf("--role=%s: without cassandra.hosts raw records are kept in data_dir, where raw and archive must be one process: "+
			"set cassandra.hosts, or run both roles together", roleArchive)
	}
	return nil
}
