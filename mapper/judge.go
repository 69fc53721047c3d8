package mapper

import (
	"context"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// Judge says what would become of records that are not in the log, if they were
// appended now: each source's own rules judge them, at the position its mapper last
// committed. A live source moves on meanwhile, so a click at the edge of its window may
// be late all the same. It belongs to one goroutine.
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
	v := p.Add(&r)
	if p.Full() { // what it would send nobody needs
		p.Seal(j.next[src], r.Append, click.None, 1)
	}
	return v, nil
}

// source is a partition as its mapper last left it.
func (j *Judge) source(ctx context.Context, src click.Source) (*rule.Partition, error) {
	if p := j.sources[src]; p != nil {
		return p, nil
	}
	at, ok, err := j.log.Committed(ctx, j.cfg.Group, src.Topic, src.Partition)
	if err != nil {
		return nil, fmt.Errorf("committed position: %w", err)
	}
	was := position{topic: src.ID, state: rule.NewState(0)}
	if ok {
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
	j.sources[src], j.next[src] = p, was.state.Next
	return p, nil
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
