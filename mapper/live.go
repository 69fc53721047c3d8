package mapper

import (
	"context"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

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
	facts, err := s.m.learn(ctx)
	if err != nil {
		return err
	}
	if s.live = facts.LiveSince(s.name.ID); s.live != click.None {
		s.judge.SetLive(s.live)
	}
	return nil
}

// announceLive tells the other partitions that clicks arrive as they happen.
func (s *source) announceLive(ctx context.Context) error {
	if s.live != click.None || !s.judge.SawLive() {
		return nil
	}
	facts, err := s.m.learn(ctx)
	if err != nil {
		return err
	}
	if s.live = facts.LiveSince(s.name.ID); s.live == click.None {
		if err := control.AnnounceLive(ctx, s.m.log, s.m.cfg.Topics.Control, s.name.ID); err != nil {
			return err
		}
		if facts, err = s.m.learn(ctx); err != nil {
			return err
		}
		s.live = facts.LiveSince(s.name.ID)
	}
	s.judge.SetLive(s.live)
	return nil
}
