package aggregator

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/snapshot"
	"github.com/clickagg/clickagg/internal/stage"
	"github.com/clickagg/clickagg/internal/stream"
)

// pieceBytes take about a millisecond to encode, for which a shard does not count.
const pieceBytes = 1 << 20

// Config is what an aggregator needs to know.
type Config struct {
	Group     string // consumer group that shows the shards' positions
	Standby   string // name of the standby group this process is of; its snapshots lie apart; empty for the first set
	Cluster   string // the installation's identity; guards its snapshots
	Topics    click.Topics
	Window    window.Config // Shard is set by Aggregator.Shard
	Snapshots time.Duration // interval
	Rejected  int32         // partitions of the rejected topic
	Piece     int           // about how many bytes of a snapshot are encoded between two turns; 0 is 1 MiB
	Hot       Hot
	// Background is [stage.Config.Background].
	Background func(func())
}

// Aggregator runs the shards of one process.
type Aggregator struct {
	log     stream.Log
	blobs   blob.Store
	cfg     Config
	clock   stream.Clock
	metrics *Metrics
	logger  *zap.Logger
}

// New makes an aggregator. Snapshots go to the blob store.
func New(log stream.Log, blobs blob.Store, cfg Config, clock stream.Clock, metrics *Metrics, logger *zap.Logger) *Aggregator {
	return &Aggregator{log: log, blobs: blobs, cfg: cfg, clock: clock, metrics: metrics, logger: logger}
}

// Shard runs one shard until ctx ends, which is no error.
func (a *Aggregator) Shard(ctx context.Context, shard int32) error {
	cfg := a.cfg.Window
	cfg.Shard, cfg.Heavy = shard, a.cfg.Hot.Threshold
	heat := a.heat(shard)
	slot := a.metrics.board.Slot()
	defer slot.Drop()
	name := fmt.Sprintf("aggregator/%d", shard)
	if a.cfg.Standby != "" {
		name = fmt.Sprintf("aggregator.%s/%d", a.cfg.Standby, shard)
	}
	run := stage.Config{
		Log: a.log, Topic: a.cfg.Topics.Shuffle, Partition: shard, Group: a.cfg.Group,
		Snapshots: snapshot.NewKeeper(a.blobs, a.cfg.Cluster, name), Interval: a.cfg.Snapshots,
		Clock: a.clock, Logger: a.logger.With(zap.Int32("shard", shard)), Background: a.cfg.Background,
	}
	err := stage.Run(ctx, run,
		func() *machine { return a.machine(window.New(cfg), heat) },
		func(state []byte) (*machine, error) {
			s, err := window.Restore(cfg, state)
			return a.machine(s, heat), err
		},
		func(m *machine, end int64) {
			st := m.shard.Status()
			heat.decide(ctx, st.Watermark)
			slot.Put(&View{Shard: shard, End: end, Spread: heat.spread, Merged: heat.merged, Status: st})
		})
	if err != nil {
		return fmt.Errorf("aggregator %d: %w", shard, err)
	}
	return nil
}

// machine is a shard and what it has to say.
type machine struct {
	shard    *window.Shard
	section  click.Section
	partials *stage.Outbox
	refused  *stage.Outbox
	pending  int
	rejected int32 // partitions of the rejected topic
	piece    int   // bytes
	heat     *heat
}

var _ stage.Machine = (*machine)(nil)

func (a *Aggregator) machine(s *window.Shard, h *heat) *machine {
	return &machine{
		shard:    s,
		partials: stage.NewOutbox(a.log, a.cfg.Topics.Partials),
		refused:  stage.NewOutbox(a.log, a.cfg.Topics.Rejected),
		rejected: a.cfg.Rejected, piece: cmp.Or(a.cfg.Piece, pieceBytes), heat: h,
	}
}

// Position implements stage.Machine.
func (m *machine) Position() int64 { return m.shard.Position() }

// Fold implements stage.Machine.
func (m *machine) Fold(r *click.Record) error {
	if err := m.section.Parse(r.Value); err != nil {
		return fmt.Errorf("%w (only clickagg may write to this topic)", err)
	}
	if err := m.shard.Fold(r.Offset, &m.section); err != nil {
		return fmt.Errorf("fold: %w", err)
	}
	for _, out := range m.shard.Out() {
		value := m.partials.Value(func(b []byte) []byte { return append(b, out.Value...) })
		m.partials.Add(stream.Message{Partition: out.Reducer, Value: value})
		m.pending += len(value)
	}
	m.heat.note(m.shard.Heavy())
	for _, f := range m.shard.Refused() {
		m.refused.Add(stream.Message{
			Partition: f.Source.Partition % m.rejected, Value: []byte{},
			Headers: []click.Header{
				{Key: click.HeaderReason, Value: []byte(f.Verdict.String())},
				{Key: click.HeaderTopic, Value: []byte(f.Source.Topic)},
				{Key: click.HeaderPartition, Value: strconv.AppendInt(nil, int64(f.Source.Partition), 10)},
				{Key: click.HeaderOffset, Value: strconv.AppendInt(nil, f.Offset, 10)},
				{Key: click.HeaderIncarnation, Value: hex.AppendEncode(nil, f.Source.ID[:])},
			},
		})
		m.pending += 256
	}
	return nil
}

// Pending implements stage.Machine.
func (m *machine) Pending() int { return m.pending }

// Flush implements stage.Machine.
func (m *machine) Flush(ctx context.Context) error {
	if err := m.partials.Flush(ctx); err != nil {
		return err
	}
	if err := m.refused.Flush(ctx); err != nil {
		return err
	}
	m.pending = 0
	return nil
}

// Snapshot implements stage.Machine.
func (m *machine) Snapshot() stage.Pieces {
	t := m.shard.Snapshot()
	return func(b []byte) ([]byte, bool) { return t.Append(b, m.piece) }
}
