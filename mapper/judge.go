package mapper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// Judge says what would become of records that are not in the log, if they were
// appended now: each source's own rules judge them, after all that stood in the log when the
// source was first asked about, whether or not its mapper has got there. A live source moves on
// meanwhile, so a click at the edge of its window may be late all the same. It belongs to one
// goroutine.
type Judge struct {
	log     stream.Log
	cfg     Config
	facts   control.Facts
	clock   stream.Clock
	sources map[click.Source]*rule.Partition
	next    map[click.Source]int64
}

// NewJudge makes a judge of an installation with these facts. It writes nothing.
func NewJudge(log stream.Log, cfg Config, facts control.Facts, clock stream.Clock) *Judge {
	return &Judge{
		log: log, cfg: cfg, facts: facts, clock: clock,
		sources: map[click.Source]*rule.Partition{}, next: map[click.Source]int64{},
	}
}

// Verdict judges a record as the next one of a source, after those that were judged
// before. It keeps no view of it.
func (j *Judge) Verdict(ctx context.Context, src click.Source, m *stream.Message) (rule.Verdict, error) {
	p, err := j.source(ctx, src)
	if err != nil {
		return rule.Verdict{}, fmt.Errorf("judge for %s: %w", src, err)
	}
	r := click.Record{
		Offset: j.next[src], Append: j.now().UnixMilli(), Key: m.Key, Value: m.Value, Headers: click.MakeHeaders(m.Headers),
	}
	j.next[src]++
	return p.Pass(&r), nil
}

// source is a partition at the end of its log: as its mapper last left it, and moved on by what
// came since. The position alone would not do: that of a mapper which has just begun, or is
// behind, knows an older time than the one the record will be judged by.
func (j *Judge) source(ctx context.Context, src click.Source) (*rule.Partition, error) {
	if p := j.sources[src]; p != nil {
		return p, nil
	}
	// The position first, as in [Mapper.find].
	at, ok, err := j.log.Committed(ctx, j.cfg.Group, src.Topic, src.Partition)
	if err != nil {
		return nil, fmt.Errorf("committed position: %w", err)
	}
	start, end, err := j.log.Bounds(ctx, src.Topic, src.Partition)
	if err != nil {
		return nil, fmt.Errorf("bounds: %w", err)
	}
	was, epoch := position{topic: src.ID, state: rule.NewState(start)}, int32(stream.NoEpoch)
	if ok {
		epoch = at.Epoch
		if was, err = decodePosition(at.Metadata); err != nil {
			return nil, fmt.Errorf("committed position %d: %w", at.Offset, err)
		}
	}
	if was.topic != src.ID {
		return nil, fmt.Errorf("%w: the topic was deleted and made again since offset %d was counted", ErrLoss, at.Offset)
	}
	cfg := j.cfg.Rule
	cfg.Trusted = j.cfg.Trusted(src.Topic)
	p := rule.NewPartition(cfg, src, was.state)
	if live := j.facts.LiveSince(src.ID); live != click.None {
		p.SetLive(live)
	}
	next, err := j.follow(ctx, p, src, stream.Place{Offset: was.state.Next, Epoch: epoch, Topic: src.ID}, end)
	if err != nil {
		return nil, err
	}
	j.sources[src], j.next[src] = p, next
	return p, nil
}

// follow judges the records of a source from a place up to an end, at least, and returns the
// offset after them.
func (j *Judge) follow(ctx context.Context, p *rule.Partition, src click.Source, at stream.Place, end int64) (int64, error) {
	for at.Offset < end {
		next, err := j.pass(ctx, p, src, at, end)
		var bad *stream.Corrupt
		if errors.As(err, &bad) && bad.End > bad.Start { // passed over, as the mapper does
			next, err = bad.End, nil
		}
		if err != nil {
			return 0, err
		}
		at.Offset, at.Epoch = next, stream.NoEpoch
	}
	return at.Offset, nil
}

func (j *Judge) pass(ctx context.Context, p *rule.Partition, src click.Source, at stream.Place, end int64) (int64, error) {
	r, err := j.log.Open(ctx, src.Topic, src.Partition, at)
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	defer func() { _ = r.Close() }()
	for at.Offset < end {
		b, err := r.Read(ctx, j.cfg.Heartbeat)
		if err != nil {
			return 0, err
		}
		for i := range b.Records {
			p.Pass(&b.Records[i])
		}
		at.Offset = b.Next
	}
	return at.Offset, nil
}

// now is the brokers' time, or the machine's where they do not say.
func (j *Judge) now() time.Time {
	now := j.clock.Now()
	if brokers, ok := j.log.(stream.BrokerClock); ok {
		if t, ok := brokers.BrokerTime(now); ok {
			return t
		}
	}
	return now
}
