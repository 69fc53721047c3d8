package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/snapshot"
	"github.com/clickagg/clickagg/internal/stream"
)

// ErrLoss: records the machine has not folded are not in the log any more.
var ErrLoss = errors.New("records lost from the log")

// Machine is a state machine over one partition. It is used by one goroutine.
type Machine interface {
	// Position is the offset of the record to fold next.
	Position() int64
	// Fold takes the next record. An error means that the log cannot be right:
	// the stage stops. What the machine has to say it keeps until Flush.
	Fold(r *click.Record) error
	// Pending is how many bytes wait for Flush.
	Pending() int
	// Flush sends what waits and returns when it is acknowledged.
	Flush(ctx context.Context) error
	// Snapshot begins to encode the state, and gives up what was begun before.
	Snapshot() Pieces
}

// Pieces appends the next piece of a snapshot after b, and tells whether it was the
// last. The machine may Fold between two pieces: the snapshot is of its position at
// the last one. Nothing may wait for Flush then.
type Pieces func(b []byte) (_ []byte, whole bool)

// Config is where a machine runs.
type Config struct {
	Log       stream.Log
	Topic     string
	Partition int32
	Group     string // consumer group that shows the position; recovery does not need it
	Snapshots *snapshot.Keeper
	Interval  time.Duration // between snapshots
	Clock     stream.Clock
	Logger    *zap.Logger
	// Background runs a function beside the stage; nil starts a goroutine. One
	// function at a time is given to it.
	Background func(func())
}

const (
	readWait   = 500 * time.Millisecond
	pieceWait  = 5 * time.Millisecond // the longest read while a snapshot is taken
	flushBytes = 4 << 20              // outputs of about this size are flushed at once
	stopWait   = 10 * time.Second
	watchEvery = 100 * time.Millisecond
)

// run is one machine at work.
type run[M Machine] struct {
	cfg    Config
	m      M
	topic  click.TopicID
	epoch  int32 // of the leader that wrote the last record that was read
	kept   int64 // position of the newest snapshot
	next   time.Time
	taking *taking // the snapshot on its way; nil when there is none
	saved  chan error
	torn   bool // a Fold failed: the state may be of half a record

	watched time.Time
}

// taking is a snapshot on its way into the store.
type taking struct {
	pieces Pieces // nil when all are taken
	draft  *snapshot.Draft
	saving bool         // somebody writes
	at     stream.Place // what it is of, when all pieces are taken
}

// Run runs a machine until ctx ends, which is no error, and returns when nothing of
// it is left at work. It ends by itself with [stream.ErrNotOwner] when it learns that
// the partition has moved to another process, which goes on from the newest snapshot.
// Fresh makes it at the
// log's start, restore from a snapshot's state; watch looks at it between
// turns, a few times a second, and is told the log's end.
func Run[M Machine](ctx context.Context, cfg Config, fresh func() M, restore func([]byte) (M, error), watch func(m M, end int64)) error {
	if cfg.Background == nil {
		cfg.Background = func(f func()) { go f() }
	}
	r := &run[M]{cfg: cfg, epoch: stream.NoEpoch, saved: make(chan error, 1)}
	if err := r.begin(ctx, fresh, restore); err != nil {
		return r.quiet(ctx, err)
	}
	in, err := cfg.Log.Open(ctx, cfg.Topic, cfg.Partition, r.place())
	if err != nil {
		return r.quiet(ctx, fmt.Errorf("open: %w", err))
	}
	defer func() { _ = in.Close() }()
	for ctx.Err() == nil {
		if err := r.turn(ctx, in, watch); err != nil {
			err = r.quiet(ctx, err)
			return errors.Join(err, r.end(ctx, err == nil))
		}
	}
	return r.end(ctx, true)
}

// place is where the machine is in the log.
func (r *run[M]) place() stream.Place {
	return stream.Place{Offset: r.m.Position(), Epoch: r.epoch, Topic: r.topic}
}

// quiet takes the error of a stage that was told to stop for what it is.
func (r *run[M]) quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil && !r.torn {
		return nil
	}
	if errors.Is(err, stream.ErrOutOfRange) {
		return fmt.Errorf("%w: %w", ErrLoss, err)
	}
	return err
}

func (r *run[M]) begin(ctx context.Context, fresh func() M, restore func([]byte) (M, error)) error {
	topic, err := r.cfg.Log.Topic(ctx, r.cfg.Topic)
	if err != nil {
		return fmt.Errorf("look up %s: %w", r.cfg.Topic, err)
	}
	r.topic = topic.ID
	at, found, skipped, err := r.cfg.Snapshots.Newest(ctx, func(state []byte) (err error) {
		r.m, err = restore(state)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range skipped {
		r.cfg.Logger.Warn("snapshot passed over; more of the log will be read", zap.Error(s))
	}
	switch {
	case !found:
		r.m = fresh()
	case at.Topic != r.topic:
		return fmt.Errorf("%w: topic %s was deleted and made again since its offset %d was read, or the brokers are those of another installation: "+
			"what the old topic still held is gone; to count from the input again start anew with another kafka.topic_prefix or data_dir",
			ErrLoss, r.cfg.Topic, at.Offset)
	default:
		r.epoch = at.Epoch
	}
	start, end, err := r.cfg.Log.Bounds(ctx, r.cfg.Topic, r.cfg.Partition)
	if err != nil {
		return fmt.Errorf("bounds: %w", err)
	}
	switch at := r.m.Position(); {
	case at < start:
		return fmt.Errorf("%w: %s/%d begins at offset %d, but the newest whole snapshot needs it from %d on: "+
			"restore the snapshots, or start anew from the input with another data_dir or kafka.topic_prefix",
			ErrLoss, r.cfg.Topic, r.cfg.Partition, start, at)
	case at > end:
		return fmt.Errorf("%w: %s/%d ends at offset %d, but was read up to %d: its tail was cut off or the topic was made again",
			ErrLoss, r.cfg.Topic, r.cfg.Partition, end, at)
	}
	r.kept = r.m.Position()
	r.next = r.cfg.Clock.Now().Add(r.cfg.Interval)
	return nil
}

// turn is one turn: fold, flush, keep the state, show the position. In this order.
func (r *run[M]) turn(ctx context.Context, in stream.Reader, watch func(M, int64)) error {
	wait := readWait
	if r.taking != nil && r.taking.pieces != nil {
		wait = pieceWait
	}
	b, err := in.Read(ctx, wait)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if b.Epoch != stream.NoEpoch {
		r.epoch = b.Epoch
	}
	for i := range b.Records {
		if err := r.m.Fold(&b.Records[i]); err != nil {
			r.torn = true
			return fmt.Errorf("offset %d: %w", b.Records[i].Offset, err)
		}
		if r.m.Pending() >= flushBytes {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
	}
	if r.m.Pending() > 0 {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	if now := r.cfg.Clock.Now(); len(b.Records) == 0 || now.Sub(r.watched) >= watchEvery {
		r.watched = now
		watch(r.m, b.End)
	}
	if err := r.showSaved(ctx); err != nil {
		return err
	}
	if r.taking == nil && r.m.Position() > r.kept && !r.cfg.Clock.Now().Before(r.next) {
		r.take()
	}
	if t := r.taking; t != nil && t.pieces != nil && t.draft.Room() {
		r.piece(ctx)
	}
	return nil
}

// flush finishes what it begins, also when the stage is told to stop meanwhile.
func (r *run[M]) flush(ctx context.Context) error {
	ctx, free := stream.Grace(ctx, stopWait)
	defer free()
	return r.m.Flush(ctx)
}

// take begins a snapshot.
func (r *run[M]) take() {
	r.taking = &taking{pieces: r.m.Snapshot(), draft: r.cfg.Snapshots.Draft(r.m.Position())}
	r.next = r.cfg.Clock.Now().Add(r.cfg.Interval)
}

// piece takes the next piece of the snapshot, between two turns: it is written beside
// the stage, and only encoding a piece takes the stage's time. Writing begins when
// all pieces are there or no more may wait.
func (r *run[M]) piece(ctx context.Context) {
	t := r.taking
	whole := false
	t.draft.Add(func(b []byte) []byte {
		b, whole = t.pieces(b)
		return b
	})
	if whole {
		t.pieces, t.at = nil, r.place()
		t.draft.End(t.at)
	}
	if !t.saving && (whole || !t.draft.Room()) {
		t.saving = true
		r.cfg.Background(func() { r.saved <- r.cfg.Snapshots.Save(context.WithoutCancel(ctx), t.draft) })
	}
}

// showSaved commits the position of a snapshot that has been written meanwhile.
func (r *run[M]) showSaved(ctx context.Context) error {
	select {
	case err := <-r.saved:
		t := r.taking
		r.taking = nil
		if err != nil {
			if ctx.Err() == nil {
				r.cfg.Logger.Warn("state not kept; counting goes on, a restart will take longer", zap.Error(err))
			}
			return nil
		}
		return r.show(ctx, t.at)
	default:
		return nil
	}
}

// show commits the position of a snapshot that is kept.
func (r *run[M]) show(ctx context.Context, at stream.Place) error {
	r.kept = at.Offset
	p := stream.Position{Offset: at.Offset, Epoch: at.Epoch}
	if err := r.cfg.Log.Commit(ctx, r.cfg.Group, r.cfg.Topic, r.cfg.Partition, p); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// end waits for a snapshot that is being written, so that nothing runs on after
// the stage. A stage that ends well and has nothing unsaid keeps its state once
// more, so that the next start reads little.
func (r *run[M]) end(ctx context.Context, well bool) error {
	ctx = context.WithoutCancel(ctx)
	if t := r.taking; t != nil {
		r.taking = nil
		t.draft.GiveUp()
		if t.saving && <-r.saved == nil && well {
			if err := r.showLast(ctx, t.at); err != nil {
				return err
			}
		}
	}
	if !well || r.m.Pending() > 0 || r.m.Position() == r.kept {
		return nil
	}
	r.take()
	t := r.taking
	for t.pieces != nil {
		if t.saving {
			t.draft.Wait()
		}
		r.piece(ctx)
	}
	if err := <-r.saved; err != nil {
		return fmt.Errorf("keep the state at the end: %w", err)
	}
	return r.showLast(ctx, t.at)
}

// showLast commits the position of a state that is kept at the end. However long it took
// to keep, the commit has its own time. It is no fault that a stage that has ended
// is not the owner any more: most were told to end because of that.
func (r *run[M]) showLast(ctx context.Context, at stream.Place) error {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	if err := r.show(ctx, at); !errors.Is(err, stream.ErrNotOwner) {
		return err
	}
	return nil
}
