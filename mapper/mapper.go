package mapper

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/board"
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

// Config is what a mapper needs to know. The times of Rule are in ms.
type Config struct {
	Group          string // consumer group that holds the positions
	Topics         click.Topics
	Rule           rule.Config
	Trusted        func(topic string) bool // whose watermark records are believed
	CommitInterval time.Duration
	Heartbeat      time.Duration
	SkewMargin     time.Duration
	MaxLead        time.Duration
	Rejected, Late int32 // partitions of the topics for rejected and late records
}

// Mapper runs the sources of one process.
type Mapper struct {
	log     stream.Log
	cfg     Config
	clock   stream.Clock
	logger  *zap.Logger
	metrics *Metrics
	pace    pace
	sources atomic.Int32 // in all input topics of the installation
}

// New makes a mapper of an installation with the given number of source
// partitions over all its input topics. The clock paces heartbeats and commits
// and, less the skew margin, stands for the broker's clock where a silent
// partition moves on.
func New(log stream.Log, cfg Config, sources int32, clock stream.Clock, metrics *Metrics, logger *zap.Logger) *Mapper {
	m := &Mapper{log: log, cfg: cfg, clock: clock, logger: logger, metrics: metrics}
	m.pace.lead = cfg.MaxLead.Milliseconds()
	m.sources.Store(sources)
	return m
}

// source is one source partition at work.
type source struct {
	m       *Mapper
	topic   stream.Topic
	name    click.Source
	judge   *rule.Partition
	live    int64
	letters letters
	out     []stream.Message
	buf     [][]byte
	sent    time.Time // of the last section
	kept    time.Time // of the last commit
	dirty   bool      // something was sent since the last commit
	end     int64     // of the log, as last seen
	slot    *board.Slot[View]
	lane    *lane
}

// Source maps one partition of an input topic until ctx ends, which is no error.
func (m *Mapper) Source(ctx context.Context, topic stream.Topic, partition int32) error {
	s := &source{
		m: m, topic: topic, live: click.None,
		name: click.Source{Topic: topic.Name, ID: topic.ID, Partition: partition},
		lane: m.pace.enter(),
	}
	defer s.lane.leave()
	s.slot = m.metrics.board.Slot()
	if err := s.run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("mapper: %s: %w", s.name, err)
	}
	return nil
}

func (s *source) run(ctx context.Context) error {
	next, err := s.begin(ctx)
	if err != nil {
		return err
	}
	s.sent, s.kept = s.m.clock.Now(), s.m.clock.Now()
	for {
		err := s.read(ctx, next)
		var bad *stream.Corrupt
		switch {
		case err == nil || ctx.Err() != nil:
			return s.finish(ctx)
		case !errors.As(err, &bad) || bad.End <= bad.Start:
			return s.explain(ctx, err)
		}
		// A batch nobody can read must not stop the clicks behind it.
		if err := s.skip(ctx, bad); err != nil {
			return err
		}
		next = bad.End
	}
}

// read maps from an offset on until ctx ends.
func (s *source) read(ctx context.Context, from int64) error {
	r, err := s.m.log.Open(ctx, s.topic.Name, s.name.Partition, stream.At(from))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = r.Close() }()
	for ctx.Err() == nil {
		if err := s.step(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// skip rejects the offsets of a batch that cannot be read.
func (s *source) skip(ctx context.Context, bad *stream.Corrupt) error {
	s.m.logger.Error("a batch cannot be read; its offsets are rejected", zap.Error(bad))
	s.judge.Refuse(bad.End)
	s.letters.unreadable(s, bad)
	return s.send(ctx, bad.End, click.None)
}

// begin finds where this source goes on: at its committed position, or at the
// log's start if it has none.
func (s *source) begin(ctx context.Context) (next int64, err error) {
	// The position first: a mapper that was replaced may still commit, and a
	// position newer than the bounds would look like a log that was cut.
	at, ok, err := s.m.log.Committed(ctx, s.m.cfg.Group, s.topic.Name, s.name.Partition)
	if err != nil {
		return 0, fmt.Errorf("committed position: %w", err)
	}
	start, end, err := s.m.log.Bounds(ctx, s.topic.Name, s.name.Partition)
	if err != nil {
		return 0, fmt.Errorf("bounds: %w", err)
	}
	state := rule.NewState(start)
	if ok {
		id, text, _ := strings.Cut(at.Metadata, "/")
		if id != hex.EncodeToString(s.topic.ID[:]) {
			return 0, fmt.Errorf("%w: topic %s was deleted and made again since offset %d was counted: "+
				"what the old topic still held is gone; to count the new one start anew with another kafka.topic_prefix or data_dir",
				ErrLoss, s.topic.Name, at.Offset)
		}
		if state, err = rule.DecodeState(text); err != nil {
			return 0, fmt.Errorf("committed position %d: %w", at.Offset, err)
		}
		switch {
		case state.Next < start:
			return 0, fmt.Errorf("%w: offsets %d to %d of %s were deleted by retention before they were counted",
				ErrLoss, state.Next, start-1, s.name)
		case state.Next > end:
			return 0, fmt.Errorf("%w: %s ends at offset %d, but was counted up to %d: its tail was cut off",
				ErrLoss, s.name, end, state.Next)
		}
	}
	cfg := s.m.cfg.Rule
	cfg.Trusted = s.m.cfg.Trusted(s.topic.Name)
	s.judge = rule.NewPartition(cfg, s.name, state)
	s.live = state.Live
	return state.Next, nil
}

// explain turns what a reader says of a lost range into what it means here.
func (s *source) explain(ctx context.Context, err error) error {
	if !errors.Is(err, stream.ErrOutOfRange) {
		return err
	}
	start, end, berr := s.m.log.Bounds(ctx, s.topic.Name, s.name.Partition)
	if berr != nil {
		return fmt.Errorf("%w: %w", ErrLoss, err)
	}
	return fmt.Errorf("%w: wanted offset %d, the log holds %d to %d: %w", ErrLoss, s.judge.State().Next, start, end-1, err)
}

// step is one turn: read, judge, send, and commit when it is due.
func (s *source) step(ctx context.Context, r stream.Reader) error {
	if !s.lane.free() {
		// Ahead of a partition that still has clicks to read: waiting here
		// instead of reading on bounds what the shards must keep open.
		if err := s.m.clock.Sleep(ctx, s.m.cfg.Heartbeat); err != nil {
			return err
		}
		return s.beat(ctx, click.None)
	}
	b, err := r.Read(ctx, s.m.cfg.Heartbeat)
	if err != nil {
		return err
	}
	idleAsOf := int64(click.None)
	if b.Next == b.End {
		idleAsOf = b.Asked.Add(-s.m.cfg.SkewMargin).UnixMilli()
	}
	if err := s.learnLive(ctx, b, idleAsOf); err != nil {
		return err
	}
	for i := range b.Records {
		rec := &b.Records[i]
		v := s.judge.Add(rec)
		s.letters.take(s, rec, &v)
		if s.judge.Full() {
			if err := s.send(ctx, rec.Offset+1, click.None); err != nil {
				return err
			}
		}
	}
	s.lane.backlog(b.Next < b.End)
	s.end = b.End
	if len(b.Records) > 0 || b.Next != s.judge.State().Next {
		if err := s.send(ctx, b.Next, idleAsOf); err != nil {
			return err
		}
	} else if err := s.beat(ctx, idleAsOf); err != nil {
		return err
	}
	if err := s.announceLive(ctx); err != nil {
		return err
	}
	if s.dirty && s.m.clock.Now().Sub(s.kept) >= s.m.cfg.CommitInterval {
		return s.commit(ctx)
	}
	return nil
}

// beat sends empty sections when nothing was sent for a heartbeat, so that the
// shards see the watermark move and a loss at the log's tail.
func (s *source) beat(ctx context.Context, idleAsOf int64) error {
	if s.m.clock.Now().Sub(s.sent) < s.m.cfg.Heartbeat {
		return nil
	}
	return s.send(ctx, s.judge.State().Next, idleAsOf)
}

// send closes the sections up to an offset and returns when every shard's
// partition has them, and the rejected and late records are kept as well.
func (s *source) send(ctx context.Context, next, idleAsOf int64) error {
	ctx, free := stream.Grace(ctx, stopWait)
	defer free()
	now := s.m.clock.Now()
	moved := s.judge.State().Next != next
	sections := s.judge.Seal(next, now.UnixMilli(), idleAsOf, s.m.sources.Load())
	s.out = s.out[:0]
	for i := range sections {
		if i == len(s.buf) {
			s.buf = append(s.buf, nil)
		}
		s.buf[i] = sections[i].Append(s.buf[i][:0])
		s.out = append(s.out, stream.Message{Partition: int32(i), Value: s.buf[i]})
	}
	if err := s.m.log.Append(ctx, s.m.cfg.Topics.Shuffle, s.out); err != nil {
		return fmt.Errorf("write sections: %w", err)
	}
	if err := s.letters.send(ctx, s); err != nil {
		return err
	}
	s.sent, s.dirty = now, s.dirty || moved
	watermark := sections[0].Watermark
	s.lane.at(watermark)
	st := s.judge.State()
	s.slot.Put(&View{
		Source: s.name, Next: st.Next, End: max(s.end, st.Next), Watermark: watermark,
		Account: st.Account, Waiting: !s.lane.free(),
	})
	return nil
}

// commit remembers how far this source is: always last, after all acknowledgements.
func (s *source) commit(ctx context.Context) error {
	st := s.judge.State()
	p := stream.Position{Offset: st.Next, Metadata: hex.EncodeToString(s.topic.ID[:]) + "/" + st.Encode()}
	if err := s.m.log.Commit(ctx, s.m.cfg.Group, s.topic.Name, s.name.Partition, p); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.kept, s.dirty = s.m.clock.Now(), false
	return nil
}

// finish commits what is acknowledged when the process is told to stop. Failing
// to is no harm: the next start repeats a little.
func (s *source) finish(ctx context.Context) error {
	if !s.dirty {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	return s.commit(ctx)
}

// learnLive looks up whether the topic is live where that may decide what
// follows. It looks after the read and before the records are judged, so that a
// fact older than a record is never missed.
func (s *source) learnLive(ctx context.Context, b *stream.Batch, idleAsOf int64) error {
	until := idleAsOf
	if n := len(b.Records); n > 0 {
		until = max(until, b.Records[n-1].Append)
	}
	if until == click.None || !s.judge.NeedsLive(until) {
		return nil
	}
	facts, err := control.Load(ctx, s.m.log, s.m.cfg.Topics.Control)
	if err != nil {
		return err
	}
	if s.live = facts.LiveSince(s.topic.ID); s.live != click.None {
		s.judge.SetLive(s.live)
	}
	return nil
}

// announceLive tells the other partitions that clicks arrive as they happen.
func (s *source) announceLive(ctx context.Context) error {
	if s.live != click.None || !s.judge.SawLive() {
		return nil
	}
	facts, err := control.Load(ctx, s.m.log, s.m.cfg.Topics.Control)
	if err != nil {
		return err
	}
	if s.live = facts.LiveSince(s.topic.ID); s.live == click.None {
		if err := control.AnnounceLive(ctx, s.m.log, s.m.cfg.Topics.Control, s.topic.ID); err != nil {
			return err
		}
		if facts, err = control.Load(ctx, s.m.log, s.m.cfg.Topics.Control); err != nil {
			return err
		}
		s.live = facts.LiveSince(s.topic.ID)
	}
	s.judge.SetLive(s.live)
	return nil
}
