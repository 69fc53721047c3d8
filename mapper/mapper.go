package mapper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// ErrLoss: clicks that were never counted are not in the log any more. The
// source stops; a person must decide.
var ErrLoss = errors.New("clicks lost from the input")

// stopWait is how long a source that is told to stop may take to finish what it
// has begun to send, and again to commit it.
const stopWait = 5 * time.Second

// Config is what a mapper needs to know. The times of Rule are in ms; its Trusted
// and Term are set by the mapper.
type Config struct {
	Group   string // consumer group that holds the positions
	Topics  click.Topics
	Rule    rule.Config
	Trusted func(topic string) bool // whose watermark records are believed
	// Rules are the keys of the configuration that judge clicks, and their values. A
	// source that was not handed over in order goes on by the same rules only.
	Rules          map[string]string
	CommitInterval time.Duration
	Heartbeat      time.Duration
	SkewMargin     time.Duration // most by which the brokers' clocks differ
	MaxLead        time.Duration
	Ahead          time.Duration // how much event time is opened beyond the click that needs it
	Rejected, Late int32         // partitions of the topics for rejected and late records
}

// Mapper runs the sources of one process.
type Mapper struct {
	log     stream.Log
	brokers stream.BrokerClock // nil when the log has none
	cfg     Config
	rules   string // fingerprint
	clock   stream.Clock
	logger  *zap.Logger
	metrics *Metrics
	pace    pace
	facts   atomic.Pointer[control.Facts] // as last read
	sources atomic.Int32                  // in all input topics of the installation
	heard   atomic.Bool                   // a broker has acknowledged something

	compiled sync.Map // sets of filters, *filter.Set by fingerprint

	opening  chan struct{} // holds one token: that of who opens minutes, to whom the next two belong
	openedAt time.Time
	ahead    int64 // ms
}

// New makes a mapper of an installation with the given number of source
// partitions over all its input topics. The clock paces heartbeats and commits; it
// stands for the brokers' only where the log does not know what time they have.
func New(log stream.Log, cfg Config, sources int32, clock stream.Clock, metrics *Metrics, logger *zap.Logger) *Mapper {
	m := &Mapper{log: log, cfg: cfg, rules: control.Fingerprint(cfg.Rules), clock: clock, logger: logger, metrics: metrics,
		opening: make(chan struct{}, 1)}
	m.brokers, _ = log.(stream.BrokerClock)
	m.pace.lead = cfg.MaxLead.Milliseconds()
	m.sources.Store(sources)
	return m
}

// SetSources says how many source partitions there are now over all input topics.
// The shards wait for as many.
func (m *Mapper) SetSources(n int32) { m.sources.Store(n) }

// Source maps one partition of an input topic until ctx ends, which is no error. It
// ends by itself with [stream.ErrNotOwner] when the partition has moved to another
// process. It returns an error that wraps [ErrLoss] or [control.ErrRules] when it must
// not go on. One partition must not be mapped twice at once in a process.
func (m *Mapper) Source(ctx context.Context, topic stream.Topic, partition int32) error {
	s := &source{
		m: m, live: click.None, epoch: stream.NoEpoch, at: click.None, edge: unknown,
		name: click.Source{Topic: topic.Name, ID: topic.ID, Partition: partition},
		slot: m.metrics.board.Slot(),
	}
	defer s.slot.Drop()
	s.lane = m.pace.enter(stream.Partition{Topic: topic.Name, Number: partition})
	defer s.lane.leave()
	if err := s.run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("mapper: %s: %w", s.name, err)
	}
	return nil
}

// brokerTime is the least that the brokers' clocks can show at a moment of this
// process's clock, in Unix ms; click.None while no broker was heard of. Where brokers
// do not say what time they have, they are on this machine.
func (m *Mapper) brokerTime(at time.Time) int64 {
	if m.brokers == nil {
		return at.UnixMilli()
	}
	if t, ok := m.brokers.BrokerTime(at); ok {
		return t.UnixMilli()
	}
	if !m.heard.Load() {
		return click.None
	}
	return at.UnixMilli()
}

// known returns what the control topic said when it was last read. Facts are only
// added to it.
func (m *Mapper) known(ctx context.Context) (*control.Facts, error) {
	if f := m.facts.Load(); f != nil {
		return f, nil
	}
	return m.learn(ctx)
}

// learn reads what is new in the control topic.
func (m *Mapper) learn(ctx context.Context) (*control.Facts, error) {
	old := m.facts.Load()
	var f control.Facts
	var err error
	if old == nil {
		f, err = control.Load(ctx, m.log, m.cfg.Topics.Control)
	} else {
		f, err = control.Refresh(ctx, m.log, m.cfg.Topics.Control, *old)
	}
	if err != nil {
		return nil, err
	}
	m.facts.CompareAndSwap(old, &f) // or another source was quicker
	return &f, nil
}
