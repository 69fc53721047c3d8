package writer

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

// Config is how a writer works.
type Config struct {
	Group          string // consumer group whose position says how far results are stored
	Topics         click.Topics
	Window         int64         // ms; the installation's size of windows, and no record's is another
	MaxRows        int           // most rows in one Apply, give or take one record; 0 is 20,000
	CommitInterval time.Duration // least time between two commits of a position
	Refusals       carry.Refusals
}

// Writer carries partitions of the results and rankings topics into one store.
type Writer struct {
	store storage.Store
	cfg   Config
	carry carry.Config
}

// NewMetrics makes a writer's figures and registers them, unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *carry.Metrics {
	return carry.NewMetrics(reg, carry.Names{
		Rows: "clickagg_writer_rows_total", Retries: "clickagg_writer_retries_total",
		Refused: "clickagg_writer_refused_records_total", Lag: "clickagg_writer_lag_records",
	})
}

// New makes a writer. It starts nothing.
func New(log stream.Log, store storage.Store, cfg Config, clock stream.Clock, metrics *carry.Metrics, logger *zap.Logger) *Writer {
	if cfg.MaxRows <= 0 {
		cfg.MaxRows = 20_000
	}
	return &Writer{store: store, cfg: cfg, carry: carry.Config{
		Log: log, Role: "writer", What: "results", Group: cfg.Group, Store: store.ID(),
		CommitInterval: cfg.CommitInterval, Refusals: cfg.Refusals, Clock: clock, Metrics: metrics, Logger: logger,
	}}
}

// Results stores one partition of the results topic until ctx ends, which is no
// error. It ends by itself with [stream.ErrNotOwner] when the partition has moved to
// another process. Any other error means that the log is not what it must be.
func (w *Writer) Results(ctx context.Context, partition int32) error {
	return w.run(ctx, w.cfg.Topics.Results, partition, (*rows).result)
}

// Rankings stores one partition of the rankings topic, as Results does.
func (w *Writer) Rankings(ctx context.Context, partition int32) error {
	return w.run(ctx, w.cfg.Topics.Rankings, partition, (*rows).ranking)
}

func (w *Writer) run(ctx context.Context, topic string, partition int32, add func(*rows, *click.Record) error) error {
	cfg := w.carry
	cfg.Load = func(t stream.Topic, partition int32) carry.Load {
		l := &load{rows: rows{window: w.cfg.Window, closed: closed{until: click.None}}, store: w.store, most: w.cfg.MaxRows, add: add}
		l.reset(partition, t.Partitions)
		return l
	}
	return carry.Run(ctx, cfg, topic, partition)
}

// load is rows on their way into the store.
type load struct {
	rows
	store storage.Store
	most  int
	last  int64 // offset of the last record that was added
	add   func(*rows, *click.Record) error
}

// Add implements [carry.Load].
func (l *load) Add(r *click.Record) error {
	l.last = r.Offset
	return l.add(&l.rows, r)
}

// Rows implements [carry.Load].
func (l *load) Rows() int { return l.size() }

// Full implements [carry.Load].
func (l *load) Full() bool { return l.size() >= l.most }

// Store implements [carry.Load].
func (l *load) Store(ctx context.Context) error {
	if !l.asked && len(l.Results) > 0 {
		marks, err := l.store.Marks(ctx)
		if err != nil {
			return err
		}
		l.learn(marks, l.last)
	}
	return l.store.Apply(ctx, &l.Batch)
}

// Reset implements [carry.Load].
func (l *load) Reset() { l.reset(l.partition, l.partitions) }
