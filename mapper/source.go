package mapper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/board"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// source is one source partition at work.
type source struct {
	m       *Mapper
	name    click.Source
	own     position // this owner's, but for its state
	edge    int64    // beyond it nobody but this owner has said anything; unknown at first
	judge   *rule.Partition
	live    int64
	letters letters
	out     []stream.Message
	buf     [][]byte
	acked   rule.State // up to which every shard has acknowledged all
	broken  bool       // a send was given up: some shards may have more than acked
	sent    time.Time  // of the last section
	kept    time.Time  // of the last commit
	dirty   bool       // something was acknowledged since the last commit
	at      int64      // the brokers' clock in the last section
	end     int64      // of the log, as last seen
	epoch   int32      // of the leader that wrote the last record that was read
	opened  int64      // event time before which clicks are routed as they come
	spread  int        // ads that are spread there
	slot    *board.Slot[View]
	lane    *lane
}

func (s *source) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		if ctx.Err() != nil && s.judge != nil {
			s.finish(ctx)
		}
		return err
	}
	next := s.acked.Next
	for {
		err := s.read(ctx, next)
		var bad *stream.Corrupt
		switch {
		case err == nil || ctx.Err() != nil:
			s.finish(ctx)
			return nil
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
	r, err := s.m.log.Open(ctx, s.name.Topic, s.name.Partition, stream.Place{Offset: from, Epoch: s.epoch, Topic: s.name.ID})
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
	s.epoch = stream.NoEpoch // nobody knows who wrote it
	return s.send(ctx, bad.End, click.None)
}

// explain turns what a reader says of a lost range into what it means here.
func (s *source) explain(ctx context.Context, err error) error {
	if !errors.Is(err, stream.ErrOutOfRange) {
		return err
	}
	start, end, berr := s.m.log.Bounds(ctx, s.name.Topic, s.name.Partition)
	if berr != nil {
		return fmt.Errorf("%w: %w", ErrLoss, err)
	}
	return fmt.Errorf("%w: wanted offset %d, the log holds %d to %d: %w", ErrLoss, s.judge.State().Next, start, end-1, err)
}

// step is one turn: read, judge, send, and commit when it is due.
func (s *source) step(ctx context.Context, r stream.Reader) error {
	if _, waits := s.lane.waits(); waits {
		// Ahead of a partition that still has clicks to read: waiting here
		// instead of reading on bounds what the shards must keep open.
		if err := s.m.clock.Sleep(ctx, s.m.cfg.Heartbeat); err != nil {
			return err
		}
		if err := s.beat(ctx, click.None); err != nil {
			return err
		}
		return s.commitWhenDue(ctx) // others may wait for what is not committed yet
	}
	b, err := r.Read(ctx, s.m.cfg.Heartbeat)
	if err != nil {
		return err
	}
	if b.Epoch != stream.NoEpoch {
		s.epoch = b.Epoch
	}
	idleAsOf := int64(click.None)
	if b.Next == b.End {
		if idleAsOf = s.m.brokerTime(b.Asked); idleAsOf != click.None {
			idleAsOf -= s.m.cfg.SkewMargin.Milliseconds()
		}
	}
	if err := s.learnLive(ctx, b, idleAsOf); err != nil {
		return err
	}
	for i := range b.Records {
		rec := &b.Records[i]
		v := s.judge.Add(rec)
		for v.Kind == rule.Unopened {
			if err := s.open(ctx, rec.Offset, s.judge.Wants()); err != nil {
				return err
			}
			v = s.judge.Add(rec)
		}
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
	return s.commitWhenDue(ctx)
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
	s.broken = next > s.acked.Next // until all is acknowledged
	now := s.m.clock.Now()
	s.at = max(s.at, s.m.brokerTime(now))
	sections := s.judge.Seal(next, s.at, idleAsOf, s.m.sources.Load())
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
	s.m.heard.Store(true)
	if err := s.letters.send(ctx, s); err != nil {
		return err
	}
	s.broken = false
	s.sent, s.dirty = now, s.dirty || s.acked.Next != next
	s.acked = s.judge.State()
	s.lane.at(sections[0].Watermark, s.acked.Account.Routed)
	waitsFor, waits := s.lane.waits()
	s.slot.Put(&View{
		Source: s.name, Next: s.acked.Next, End: max(s.end, s.acked.Next), Watermark: sections[0].Watermark,
		Account: s.acked.Account, Waiting: waits, WaitsFor: waitsFor, Opened: s.opened, Spread: s.spread,
	})
	return nil
}

func (s *source) commitWhenDue(ctx context.Context) error {
	if !s.dirty || s.m.clock.Now().Sub(s.kept) < s.m.cfg.CommitInterval {
		return nil
	}
	return s.commit(ctx, s.acked)
}

// commit remembers how far this source is: always last, after all acknowledgements.
func (s *source) commit(ctx context.Context, state rule.State) error {
	p := s.own
	p.state = state
	at := stream.Position{Offset: state.Next, Epoch: s.epoch, Metadata: p.encode()}
	if err := s.m.log.Commit(ctx, s.m.cfg.Group, s.name.Topic, s.name.Partition, at); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.kept, s.dirty = s.m.clock.Now(), false
	return nil
}

// finish commits what is acknowledged when the process is told to stop. It is an end
// in order when nobody can have said anything beyond: then the position says so, and
// holds to what the shards were told last. Failing to is no harm: the next start
// repeats a little, by the same rules.
func (s *source) finish(ctx context.Context) {
	state := s.acked
	s.own.ended = !s.broken && s.edge != unknown && state.Next >= s.edge
	if s.own.ended {
		state = s.judge.HandOver()
	} else if !s.dirty {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	if err := s.commit(ctx, state); err != nil && !errors.Is(err, stream.ErrNotOwner) {
		s.m.logger.Warn("the last position was not committed; the next start repeats a little and must judge by the same rules",
			zap.Stringer("source", s.name), zap.Error(err))
	}
}
