package settle

import (
	"context"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Options says what to wait for.
type Options struct {
	Log    stream.Log
	Input  string // the topic that was sent to
	Topics click.Topics
	Until  int64 // everything before this time shall be final too; click.None asks for no more than stored
	Status func(ctx context.Context) (api.Status, error)
	Every  time.Duration // between two questions; 0 is 100 ms
}

// failuresMax is how many questions in a row may go without an answer.
const failuresMax = 20

// Wait returns nil when everything that is now in the input topic has been
// judged, and what came of it is stored, and final up to Until. It returns the
// last error when 20 questions in a row fail, and ctx's error when it ends.
//
// Each stage is asked to be past what the stage before it had written when that
// one was done. Positions only grow and are shown after what they say is
// acknowledged, so no answer can be too early, however old it is.
func Wait(ctx context.Context, o Options) error {
	if o.Every == 0 {
		o.Every = 100 * time.Millisecond
	}
	for _, step := range []struct {
		role, topic string
		said        bool // also wait until it has sent on all it knows
	}{
		{"mapper", o.Input, false},
		{"aggregator", o.Topics.Shuffle, true},
		{"reducer", o.Topics.Partials, false},
		{"writer", o.Topics.Rankings, false},
		{"writer", o.Topics.Results, false},
	} {
		ends, err := o.ends(ctx, step.topic)
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		if err := o.until(ctx, func(s *api.Status) bool { return past(s, step.role, step.topic, ends, step.said) }); err != nil {
			return fmt.Errorf("wait for the %s: %w", step.role, err)
		}
	}
	if o.Until == click.None {
		return nil
	}
	final := func(s *api.Status) bool { return s.CompleteUntil != nil && s.CompleteUntil.UnixMilli() >= o.Until }
	if err := o.until(ctx, final); err != nil {
		return fmt.Errorf("wait for final counts: %w", err)
	}
	return nil
}

// ends are where the partitions of a topic end now.
func (o *Options) ends(ctx context.Context, topic string) ([]int64, error) {
	t, err := o.Log.Topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends := make([]int64, t.Partitions)
	for p := range ends {
		if _, ends[p], err = o.Log.Bounds(ctx, topic, int32(p)); err != nil {
			return nil, err
		}
	}
	return ends, nil
}

// past tells whether a role is past an offset in every partition of a topic. Where
// a shard has a standby, either will do: they say the same.
func past(s *api.Status, role, topic string, ends []int64, said bool) bool {
	done := make(map[int32]bool)
	for _, r := range s.Roles {
		if r.Name != role {
			continue
		}
		for _, p := range r.Partitions {
			if p.Topic == topic && int(p.Partition) < len(ends) && p.Next >= ends[p.Partition] && (!said || p.Unsaid == 0) {
				done[p.Partition] = true
			}
		}
	}
	return len(done) == len(ends)
}

// until asks until the answer is as wanted.
func (o *Options) until(ctx context.Context, wanted func(*api.Status) bool) error {
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for failures := 0; ; {
		s, err := o.Status(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && wanted(&s):
			return nil
		case err == nil:
			failures = 0
		default:
			if failures++; failures == failuresMax {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
