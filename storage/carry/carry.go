package carry

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/zeebo/xxh3"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/board"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stage"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// Load is what was read and is not stored yet.
type Load interface {
	// Add takes the next record, whose bytes stay valid until Reset. An error
	// says that the record is none of this topic's.
	Add(r *click.Record) error
	// Rows is how many rows wait.
	Rows() int
	// Full tells whether what waits should be stored before more is added.
	Full() bool
	// Store stores what waits, durably when it returns nil. It is called again
	// with the same rows until then.
	Store(ctx context.Context) error
	// Reset forgets what waits.
	Reset()
}

// Config is how a role carries.
type Config struct {
	Log   stream.Log
	Role  string // as it is named in errors
	What  string // what is carried, in the plural, as it is named in the log
	Group string // consumer group whose position says how far everything is stored
	Store string // names the store; see [storage.Store].ID
	// Load makes the load of a partition.
	Load func(topic stream.Topic, partition int32) Load
	// PassBroken passes over batches that nobody can read. Without it they are an
	// error.
	PassBroken bool

	CommitInterval time.Duration // least time between two commits of a position
	Refusals       Refusals
	Clock          stream.Clock
	Metrics        *Metrics
	Logger         *zap.Logger
}

const (
	readWait  = 500 * time.Millisecond
	stopWait  = 5 * time.Second // for the last commit
	lookWait  = time.Second     // for the log's end while the store is away
	firstWait = 100 * time.Millisecond
	retryMax  = 10 * time.Second
)

// part is one partition on its way into the store.
type part struct {
	Config
	topic  stream.Topic
	number int32
	epoch  int32 // of the leader that wrote the last record that was read
	load   Load
	slot   *board.Slot[View]
	view   View
	kept   int64 // the committed offset
	due    time.Time
	inRow  int // records put aside since the store took one
	// chance keeps those who wait for one store from coming back together. It is of the
	// partition, so that a history can be told again.
	chance *rand.Rand
}

// Run carries one partition of a topic until ctx ends, which is no error. It ends
// by itself with [stream.ErrNotOwner] when the partition has moved to another
// process. Any other error means that the log is not what it must be, or that the
// store refuses more of it than may be put aside.
func Run(ctx context.Context, cfg Config, topic string, partition int32) error {
	cfg.Refusals.RetryMax = cmp.Or(cfg.Refusals.RetryMax, retryMax)
	cfg.Logger = cfg.Logger.With(zap.String("topic", topic), zap.Int32("partition", partition))
	p := &part{Config: cfg, number: partition, epoch: stream.NoEpoch, slot: cfg.Metrics.board.Slot(),
		chance: rand.New(rand.NewPCG(xxh3.HashString(topic), uint64(partition)))}
	defer p.slot.Drop()
	err := p.consume(ctx, topic)
	if ctx.Err() != nil && !refused(err) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s %s/%d: %w", cfg.Role, topic, partition, err)
	}
	return nil
}

func (p *part) consume(ctx context.Context, topic string) (err error) {
	if p.topic, err = p.Log.Topic(ctx, topic); err != nil {
		return err
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil && err == nil {
		err = p.passed(p.read(ctx))
	}
	return err
}

// read carries on from where everything is stored, until ctx or the log ends it.
func (p *part) read(ctx context.Context) error {
	in, err := p.Log.Open(ctx, p.topic.Name, p.number, stream.Place{Offset: p.view.Next, Epoch: p.epoch, Topic: p.topic.ID})
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

// passed goes on behind a batch that nobody can read, where that is wanted.
func (p *part) passed(err error) error {
	bad, ok := errors.AsType[*stream.Corrupt](err)
	if !ok || !p.PassBroken || bad.End <= bad.Start {
		return err
	}
	p.Logger.Error("a batch cannot be read; its offsets are passed over", zap.Error(bad))
	p.view.Next, p.epoch = bad.End, stream.NoEpoch // nobody knows who wrote it
	p.publish()
	return nil
}

// begin finds where to go on: at the committed position, or at the log's start
// if there is none.
func (p *part) begin(ctx context.Context) error {
	// The position first: another process may still commit, and a position newer
	// than the bounds would look like a log that was cut.
	at, ok, err := p.Log.Committed(ctx, p.Group, p.topic.Name, p.number)
	if err != nil {
		return fmt.Errorf("committed position: %w", err)
	}
	start, end, err := p.Log.Bounds(ctx, p.topic.Name, p.number)
	if err != nil {
		return fmt.Errorf("bounds: %w", err)
	}
	next := start
	if ok {
		next, p.epoch = at.Offset, at.Epoch
		topic, store, _ := strings.Cut(at.Metadata, "/")
		switch {
		case store != p.Store && start == 0:
			// The store is not the one that was written to: all is still in the
			// log, so it is filled again.
			p.Logger.Warn("the store is a new one; storing all " + p.What + " again")
			next, p.epoch = 0, stream.NoEpoch
		case store != p.Store:
			return fmt.Errorf("%w: the store is a new one, and %s before offset %d are not in the log any more: "+
				"bring back the store", stage.ErrLoss, p.What, start)
		case topic != p.incarnation():
			return fmt.Errorf("%w: the topic was deleted and made again since offset %d was stored", stage.ErrLoss, next)
		case next < start:
			return fmt.Errorf("%w: offsets %d to %d were deleted by retention before they were stored", stage.ErrLoss, next, start-1)
		case next > end:
			return fmt.Errorf("%w: the log ends at offset %d, but was stored up to %d: its tail was cut off", stage.ErrLoss, end, next)
		}
	}
	p.kept = next
	p.load = p.Load(p.topic, p.number)
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
	from := 0
	for i := range b.Records {
		r := &b.Records[i]
		if fault := p.load.Add(r); fault != nil {
			if err := p.store(ctx, b.Records[from:i], r.Offset); err != nil {
				return err
			}
			if err := p.refuse(ctx, r, fmt.Errorf("%w: %w", errRecord, fault)); err != nil {
				return err
			}
			from = i + 1
		} else if p.load.Full() {
			if err := p.store(ctx, b.Records[from:i+1], r.Offset+1); err != nil {
				return err
			}
			from = i + 1
		}
	}
	if err := p.store(ctx, b.Records[from:], b.Next); err != nil {
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

// errRecord: a record that is none of this topic's, so that another program wrote it.
var errRecord = errors.New("unreadable record")

// store stores what was collected of the records, however long it takes, and moves on
// to next.
func (p *part) store(ctx context.Context, records []click.Record, next int64) error {
	err := p.keepTrying(ctx)
	if refused(err) {
		err = p.sift(ctx, records, err)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	p.view.Next, p.view.Fault = next, nil
	p.publish()
	return nil
}

// keepTrying stores what waits until the store takes it, ctx ends, or the store says that
// it never will. The log says it once, however long it takes.
func (p *part) keepTrying(ctx context.Context) error {
	rows := p.load.Rows()
	if rows == 0 {
		return nil
	}
	began := p.Clock.Now()
	for wait := firstWait; ; wait = min(2*wait, p.Refusals.RetryMax) {
		err := p.load.Store(ctx)
		if err == nil {
			if p.view.Fault != nil {
				p.Logger.Info("the store takes "+p.What+" again", zap.Duration("after", p.Clock.Now().Sub(began)))
			}
			p.view.Rows += int64(rows)
			p.inRow = 0
			p.load.Reset()
		}
		if err == nil || errors.Is(err, storage.ErrInvalid) || ctx.Err() != nil {
			return err
		}
		if p.view.Fault == nil {
			p.Logger.Warn("the store does not take "+p.What+"; they wait in the log and are tried again until it does", zap.Error(err))
		}
		p.view.Fault = err
		p.view.Retries++
		p.look(ctx)
		p.publish()
		if err := p.Clock.Sleep(ctx, wait/2+time.Duration(p.chance.Int64N(int64(wait/2)))); err != nil {
			return err
		}
	}
}

// look finds the log's end while nothing is read, so that the lag that is shown
// grows as the log does.
func (p *part) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	if _, end, err := p.Log.Bounds(ctx, p.topic.Name, p.number); err == nil {
		p.view.End = max(p.view.End, end)
	}
}

// commit remembers how far everything is stored, when it is time.
func (p *part) commit(ctx context.Context) error {
	if ctx.Err() != nil || p.Clock.Now().Before(p.due) {
		return nil
	}
	err := p.remember(ctx)
	p.due = p.Clock.Now().Add(p.CommitInterval)
	return err
}

// finish remembers the last of what is stored when reading ends.
func (p *part) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	_ = p.remember(ctx) // who is not the owner any more has nothing to remember
}

// remember commits the position. Without it a restart stores some rows again,
// which changes nothing, so that a failure is no reason to stop. That the partition
// has moved to another process is, and the only error that is returned.
func (p *part) remember(ctx context.Context) error {
	if p.view.Next == p.kept {
		return nil
	}
	at := stream.Position{Offset: p.view.Next, Epoch: p.epoch, Metadata: p.incarnation() + "/" + p.Store}
	err := p.Log.Commit(ctx, p.Group, p.topic.Name, p.number, at)
	if errors.Is(err, stream.ErrNotOwner) {
		return fmt.Errorf("commit: %w", err)
	}
	if err != nil {
		p.Logger.Warn("position not committed; it will be with the next", zap.Error(err))
		return nil
	}
	p.kept = at.Offset
	return nil
}

func (p *part) publish() {
	v := p.view
	p.slot.Put(&v)
}
