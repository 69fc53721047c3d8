package writer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/board"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stage"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// Config is how a writer works.
type Config struct {
	Group          string // consumer group whose position says how far results are stored
	Topics         click.Topics
	MaxRows        int           // most rows in one Apply, give or take one record; 0 is 20,000
	CommitInterval time.Duration // least time between two commits of a position
}

const (
	readWait  = 500 * time.Millisecond
	stopWait  = 5 * time.Second // for the last commit
	lookWait  = time.Second     // for the log's end while the store is away
	firstWait = 100 * time.Millisecond
	longWait  = 10 * time.Second // most between two tries of a store that is away
)

// Writer carries partitions of the results and rankings topics into one store.
type Writer struct {
	log     stream.Log
	store   storage.Store
	cfg     Config
	clock   stream.Clock
	metrics *Metrics
	logger  *zap.Logger
}

// New makes a writer. It starts nothing.
func New(log stream.Log, store storage.Store, cfg Config, clock stream.Clock, metrics *Metrics, logger *zap.Logger) *Writer {
	if cfg.MaxRows <= 0 {
		cfg.MaxRows = 20_000
	}
	return &Writer{log: log, store: store, cfg: cfg, clock: clock, metrics: metrics, logger: logger}
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

// part is one partition on its way into the store.
type part struct {
	*Writer
	topic  stream.Topic
	number int32
	add    func(*rows, *click.Record) error
	epoch  int32 // of the leader that wrote the last record that was read
	rows   rows
	slot   *board.Slot[View]
	view   View
	kept   int64 // the committed offset
	due    time.Time
}

func (w *Writer) run(ctx context.Context, topic string, number int32, add func(*rows, *click.Record) error) error {
	p := &part{Writer: w, number: number, add: add, epoch: stream.NoEpoch, slot: w.metrics.board.Slot()}
	defer p.slot.Drop()
	err := p.consume(ctx, topic)
	if ctx.Err() != nil && !errors.Is(err, errRecord) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("writer %s/%d: %w", topic, number, err)
	}
	return nil
}

func (p *part) consume(ctx context.Context, topic string) (err error) {
	if p.topic, err = p.log.Topic(ctx, topic); err != nil {
		return err
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	in, err := p.log.Open(ctx, p.topic.Name, p.number, stream.Place{Offset: p.view.Next, Epoch: p.epoch, Topic: p.topic.ID})
	if err != nil {
		return p.lost("open", err)
	}
	defer func() { _ = in.Close() }()
	for ctx.Err() == nil && err == nil {
		err = p.step(ctx, in)
	}
	p.finish(ctx)
	return err
}

// begin finds where to go on: at the committed position, or at the log's start
// if there is none.
func (p *part) begin(ctx context.Context) error {
	// The position first: another writer may still commit, and a position newer
	// than the bounds would look like a log that was cut.
	at, ok, err := p.log.Committed(ctx, p.cfg.Group, p.topic.Name, p.number)
	if err != nil {
		return fmt.Errorf("committed position: %w", err)
	}
	start, end, err := p.log.Bounds(ctx, p.topic.Name, p.number)
	if err != nil {
		return fmt.Errorf("bounds: %w", err)
	}
	next := start
	if ok {
		next, p.epoch = at.Offset, at.Epoch
		topic, store, _ := strings.Cut(at.Metadata, "/")
		switch {
		case store != p.store.ID() && start == 0:
			// The store is not the one that was written to: all results are still
			// there, so it is filled again.
			p.logger.Warn("the store is a new one; storing all results again", zap.String("topic", p.topic.Name), zap.Int32("partition", p.number))
			next, p.epoch = 0, stream.NoEpoch
		case store != p.store.ID():
			return fmt.Errorf("%w: the store is a new one, and results before offset %d are not in the log any more: "+
				"bring back the store", stage.ErrLoss, start)
		case topic != p.incarnation():
			return fmt.Errorf("%w: the topic was deleted and made again since offset %d was stored", stage.ErrLoss, next)
		case next < start:
			return fmt.Errorf("%w: offsets %d to %d were deleted by retention before they were stored", stage.ErrLoss, next, start-1)
		case next > end:
			return fmt.Errorf("%w: the log ends at offset %d, but was stored up to %d: its tail was cut off", stage.ErrLoss, end, next)
		}
	}
	p.kept = next
	p.rows.reset(p.number, p.topic.Partitions)
	p.view = View{Topic: p.topic.Name, Partition: p.number, Next: next, End: end}
	p.publish()
	return nil
}

// incarnation is written beside a position: offsets of a topic that was made
// again mean nothing.
func (p *part) incarnation() string { return hex.EncodeToString(p.topic.ID[:]) }

// step is one turn: read, store, and commit when it is due. In this order.
func (p *part) step(ctx context.Context, in stream.Reader) error {
	b, err := in.Read(ctx, readWait)
	if err != nil {
		return p.lost("read", err)
	}
	p.view.End = b.End
	if b.Epoch != stream.NoEpoch {
		p.epoch = b.Epoch
	}
	for i := range b.Records {
		r := &b.Records[i]
		if err := p.add(&p.rows, r); err != nil {
			return fmt.Errorf("%w at offset %d: %w", errRecord, r.Offset, err)
		}
		if p.rows.size() >= p.cfg.MaxRows {
			if err := p.apply(ctx, r.Offset+1); err != nil {
				return err
			}
		}
	}
	if err := p.apply(ctx, b.Next); err != nil {
		return err
	}
	return p.commit(ctx)
}

// lost says that what is not in the log any more is a loss.
func (p *part) lost(step string, err error) error {
	if errors.Is(err, stream.ErrOutOfRange) {
		return fmt.Errorf("%w: offset %d: %w", stage.ErrLoss, p.view.Next, err)
	}
	return fmt.Errorf("%s: %w", step, err)
}

// errRecord: a record of our own topic that we cannot read. Passing over it
// would lose a count.
var errRecord = errors.New("unreadable record")

// apply stores what was collected, however long it takes, and moves on to next.
func (p *part) apply(ctx context.Context, next int64) error {
	if p.rows.size() > 0 {
		if err := p.keepTrying(ctx); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		p.view.Rows += int64(p.rows.size())
		p.rows.reset(p.number, p.topic.Partitions)
	}
	p.view.Next, p.view.Fault = next, nil
	p.publish()
	return nil
}

// keepTrying applies the batch until the store takes it, ctx ends, or the store
// says that it never will. The log says it once, however long it takes.
func (p *part) keepTrying(ctx context.Context) error {
	began := p.clock.Now()
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		err := p.store.Apply(ctx, &p.rows.Batch)
		if err == nil && p.view.Fault != nil {
			p.logger.Info("the store takes results again", zap.String("topic", p.topic.Name), zap.Int32("partition", p.number),
				zap.Duration("after", p.clock.Now().Sub(began)))
		}
		if err == nil || errors.Is(err, storage.ErrInvalid) || ctx.Err() != nil {
			return err
		}
		if p.view.Fault == nil {
			p.logger.Warn("the store does not take results; they wait in the log and are tried again until it does",
				zap.String("topic", p.topic.Name), zap.Int32("partition", p.number), zap.Error(err))
		}
		p.view.Fault = err
		p.view.Retries++
		p.look(ctx)
		p.publish()
		if err := p.clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// look finds the log's end while nothing is read, so that the lag that is shown
// grows as the log does.
func (p *part) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	if _, end, err := p.log.Bounds(ctx, p.topic.Name, p.number); err == nil {
		p.view.End = max(p.view.End, end)
	}
}

// commit remembers how far everything is stored, when it is time.
func (p *part) commit(ctx context.Context) error {
	if ctx.Err() != nil || p.clock.Now().Before(p.due) {
		return nil
	}
	err := p.remember(ctx)
	p.due = p.clock.Now().Add(p.cfg.CommitInterval)
	return err
}

// finish remembers the last of what is stored when the part ends.
func (p *part) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	_ = p.remember(ctx) // who is not the owner any more has nothing to remember
}

// remember commits the position. Without it a restart stores some results again,
// which changes nothing, so that a failure is no reason to stop. That the partition
// has moved to another process is, and the only error that is returned.
func (p *part) remember(ctx context.Context) error {
	if p.view.Next == p.kept {
		return nil
	}
	at := stream.Position{Offset: p.view.Next, Epoch: p.epoch, Metadata: p.incarnation() + "/" + p.store.ID()}
	err := p.log.Commit(ctx, p.cfg.Group, p.topic.Name, p.number, at)
	if errors.Is(err, stream.ErrNotOwner) {
		return fmt.Errorf("commit: %w", err)
	}
	if err != nil {
		p.logger.Warn("position not committed; it will be with the next",
			zap.String("topic", p.topic.Name), zap.Int32("partition", p.number), zap.Error(err))
		return nil
	}
	p.kept = at.Offset
	return nil
}

func (p *part) publish() {
	v := p.view
	p.slot.Put(&v)
}
