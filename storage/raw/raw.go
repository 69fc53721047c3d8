package raw

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/carry"
)

// Config is how a keeper works.
type Config struct {
	Group          string        // consumer group whose position says how far records are stored
	MaxBytes       int           // most bytes of records in one Put, give or take one record; 0 is 4 MiB
	CommitInterval time.Duration // least time between two commits of a position
	Refusals       carry.Refusals
}

// Keeper carries partitions of the input topics into one raw store.
type Keeper struct {
	store storage.RawStore
	cfg   Config
	carry carry.Config
}

// NewMetrics makes a keeper's figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *carry.Metrics {
	return carry.NewMetrics(reg, carry.Names{
		Rows: "clickagg_raw_records_total", Retries: "clickagg_raw_retries_total",
		Refused: "clickagg_raw_refused_records_total", Lag: "clickagg_raw_lag_records",
	})
}

// New makes a keeper. It starts nothing.
func New(log stream.Log, store storage.RawStore, cfg Config, clock stream.Clock, metrics *carry.Metrics, logger *zap.Logger) *Keeper {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 4 << 20
	}
	k := &Keeper{store: store, cfg: cfg}
	k.carry = carry.Config{
		Log: log, Role: "raw", What: "raw records", Group: cfg.Group, Store: store.ID(), Load: k.load, PassBroken: true,
		CommitInterval: cfg.CommitInterval, Refusals: cfg.Refusals, Clock: clock, Metrics: metrics, Logger: logger,
	}
	return k
}

// Source stores one partition of an input topic until ctx ends, which is no error. It
// ends by itself with [stream.ErrNotOwner] when the partition has moved to another
// process. Any other error means that records are lost, or that the store never takes
// one of them.
func (k *Keeper) Source(ctx context.Context, topic string, partition int32) error {
	return carry.Run(ctx, k.carry, topic, partition)
}

// load is records of one source on their way into the store.
type load struct {
	store   storage.RawStore
	source  click.Source
	most    int
	records []click.Record
	bytes   int
}

func (k *Keeper) load(t stream.Topic, partition int32) carry.Load {
	return &load{store: k.store, source: click.Source{Topic: t.Name, ID: t.ID, Partition: partition}, most: k.cfg.MaxBytes}
}

// perRecord is what a record takes beside its bytes.
const perRecord = 100

// Add implements [carry.Load].
func (l *load) Add(r *click.Record) error {
	l.records = append(l.records, *r)
	l.bytes += len(r.Key) + len(r.Value) + len(r.Headers.Raw) + perRecord
	return nil
}

// Rows implements [carry.Load].
func (l *load) Rows() int { return len(l.records) }

// Full implements [carry.Load].
func (l *load) Full() bool { return l.bytes >= l.most }

// Store implements [carry.Load].
func (l *load) Store(ctx context.Context) error { return l.store.Put(ctx, l.source, l.records) }

// Reset implements [carry.Load].
func (l *load) Reset() {
	clear(l.records)
	l.records, l.bytes = l.records[:0], 0
}
