package reducer

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/snapshot"
	"github.com/clickagg/clickagg/internal/stage"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/reducer/merge"
)

// Config is what a reducer needs to know.
type Config struct {
	Group     string // consumer group that shows the positions
	Cluster   string // the installation's identity; guards its snapshots
	Topics    click.Topics
	Merge     merge.Config // Reducer is set by Reducer.Partition
	Snapshots time.Duration
	Results   int32 // partitions of the results topic
	Rankings  int32 // partitions of the rankings topic
	// Background is [stage.Config.Background].
	Background func(func())
}

// Reducer runs the reducer partitions of one process.
type Reducer struct {
	log     stream.Log
	blobs   blob.Store
	cfg     Config
	clock   stream.Clock
	metrics *Metrics
	logger  *zap.Logger
}

// New makes a reducer. Snapshots go to the blob store.
func New(log stream.Log, blobs blob.Store, cfg Config, clock stream.Clock, metrics *Metrics, logger *zap.Logger) *Reducer {
	return &Reducer{log: log, blobs: blobs, cfg: cfg, clock: clock, metrics: metrics, logger: logger}
}

// Partition runs the reducer of one partition of the partials topic until ctx
// ends, which is no error.
func (r *Reducer) Partition(ctx context.Context, partition int32) error {
	cfg := r.cfg.Merge
	cfg.Reducer = partition
	slot := r.metrics.board.Slot()
	defer slot.Drop()
	name := fmt.Sprintf("reducer/%d", partition)
	run := stage.Config{
		Log: r.log, Topic: r.cfg.Topics.Partials, Partition: partition, Group: r.cfg.Group,
		Snapshots: snapshot.NewKeeper(r.blobs, r.cfg.Cluster, name), Interval: r.cfg.Snapshots,
		Clock: r.clock, Logger: r.logger.With(zap.Int32("reducer", partition)), Background: r.cfg.Background,
	}
	err := stage.Run(ctx, run,
		func() *machine { return r.machine(merge.New(cfg), cfg) },
		func(state []byte) (*machine, error) {
			core, err := merge.Restore(cfg, state)
			return r.machine(core, cfg), err
		},
		func(m *machine, end int64) { slot.Put(&View{Reducer: partition, End: end, Status: m.core.Status()}) })
	if err != nil {
		return fmt.Errorf("reducer %d: %w", partition, err)
	}
	return nil
}

// machine is a reducer's core and what it has to say.
type machine struct {
	core     *merge.Reducer
	cfg      merge.Config
	parts    Config // how many partitions its topics have
	partial  click.Partial
	correct  click.Correction
	results  *stage.Outbox
	rankings *stage.Outbox
	pending  int
}

var _ stage.Machine = (*machine)(nil)

func (r *Reducer) machine(core *merge.Reducer, cfg merge.Config) *machine {
	return &machine{
		core: core, cfg: cfg, parts: r.cfg,
		results:  stage.NewOutbox(r.log, r.cfg.Topics.Results),
		rankings: stage.NewOutbox(r.log, r.cfg.Topics.Rankings),
	}
}

// Position implements stage.Machine.
func (m *machine) Position() int64 { return m.core.Position() }

// Fold implements stage.Machine.
func (m *machine) Fold(rec *click.Record) error {
	if err := m.take(rec); err != nil {
		return err
	}
	out := m.core.Out()
	for i := range out.Results {
		m.result(&out.Results[i])
	}
	for i := range out.Rankings {
		m.ranking(&out.Rankings[i])
	}
	for i := range out.Lineages {
		m.lineage(&out.Lineages[i])
	}
	for i := range out.Holds {
		m.mark(out.Watermark, out.Closed, click.Header{Key: click.HeaderHold, Value: out.Holds[i].AppendText(nil)})
	}
	if out.Advanced {
		m.mark(out.Watermark, out.Closed)
	}
	return nil
}

// take hands a record to the core.
func (m *machine) take(rec *click.Record) error {
	if click.IsCorrection(rec.Value) {
		if m.correct.Parse(rec.Value) != nil {
			m.core.Pass(rec.Offset)
			return nil
		}
		m.core.Correct(rec.Offset, &m.correct)
		return nil
	}
	if err := m.partial.Parse(rec.Value); err != nil {
		return fmt.Errorf("%w (only clickagg may write to this topic)", err)
	}
	if err := m.core.Fold(rec.Offset, &m.partial); err != nil {
		return fmt.Errorf("fold: %w", err)
	}
	return nil
}

func (m *machine) result(r *click.Result) {
	key := m.results.Value(func(b []byte) []byte { return append(b, r.Ad...) })
	value := m.results.Value(r.AppendJSON)
	m.results.Add(stream.Message{Partition: stream.ByKey, Key: key, Value: value})
	m.pending += len(key) + len(value)
}

func (m *machine) ranking(r *click.Ranking) {
	key := m.rankings.Value(func(b []byte) []byte {
		b = time.UnixMilli(r.Start).UTC().AppendFormat(b, time.RFC3339)
		return append(append(b, '/'), r.Filter...)
	})
	value := m.rankings.Value(r.AppendJSON)
	m.rankings.Add(stream.Message{Partition: m.cfg.Reducer % m.parts.Rankings, Key: key, Value: value})
	m.pending += len(key) + len(value)
}

func (m *machine) lineage(l *click.Lineage) {
	key := m.rankings.Value(func(b []byte) []byte {
		return append(time.UnixMilli(l.Start).UTC().AppendFormat(b, time.RFC3339), "/lineage"...)
	})
	value := m.rankings.Value(l.AppendJSON)
	m.rankings.Add(stream.Message{
		Partition: m.cfg.Reducer % m.parts.Rankings, Key: key, Value: value,
		Headers: []click.Header{{Key: click.HeaderLineage, Value: m.who()}},
	})
	m.pending += len(key) + len(value)
}

// who names this reducer among all: "1/4".
func (m *machine) who() []byte { return fmt.Appendf(nil, "%d/%d", m.cfg.Reducer, m.cfg.Reducers) }

// mark tells every partition of the results topic that what this reducer had to
// say of the windows before the watermark lies before the mark, and which of them
// are closed for good; with more, what else holds from there on.
func (m *machine) mark(watermark, closed int64, more ...click.Header) {
	headers := append([]click.Header{
		{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, watermark, 10)},
		{Key: click.HeaderReducer, Value: m.who()},
	}, more...)
	if closed != click.None {
		headers = append(headers, click.Header{Key: click.HeaderClosed, Value: strconv.AppendInt(nil, closed, 10)})
	}
	for p := range m.parts.Results {
		m.results.Add(stream.Message{Partition: p, Headers: headers})
		m.pending += 64
	}
}

// Pending implements stage.Machine.
func (m *machine) Pending() int { return m.pending }

// Flush implements stage.Machine. Rankings and lineages go first, so that a mark
// never overtakes those of a window it calls complete.
func (m *machine) Flush(ctx context.Context) error {
	if err := m.rankings.Flush(ctx); err != nil {
		return err
	}
	if err := m.results.Flush(ctx); err != nil {
		return err
	}
	m.pending = 0
	return nil
}

// Snapshot implements stage.Machine. It is small, and one piece.
func (m *machine) Snapshot() stage.Pieces {
	return func(b []byte) ([]byte, bool) { return m.core.AppendSnapshot(b), true }
}
