package settle

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

// pipeline answers as a running installation would whose stages are at the
// given positions; every stage writes one record to the next when it moves.
type pipeline struct {
	log    memory.Log
	topics click.Topics
	next   map[string]int64
	unsaid int64
	until  *time.Time
	asked  int
	step   func(asked int)
}

func newPipeline() *pipeline {
	p := &pipeline{topics: click.TopicsOf("clickagg"), next: map[string]int64{}}
	for _, t := range []string{"clicks", p.topics.Shuffle, p.topics.Partials, p.topics.Rankings, p.topics.Results} {
		p.log.Create(t, 1)
	}
	return p
}

func (p *pipeline) write(t *testing.T, topic string) {
	t.Helper()
	if err := p.log.Append(t.Context(), topic, []stream.Message{{Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
}

func (p *pipeline) status(context.Context) (api.Status, error) {
	p.asked++
	p.step(p.asked)
	at := func(role, topic string) api.Role {
		return api.Role{Name: role, Partitions: []api.Partition{{Topic: topic, Next: p.next[topic], Unsaid: p.unsaid}}}
	}
	return api.Status{CompleteUntil: p.until, Roles: []api.Role{
		at("mapper", "clicks"), at("aggregator", p.topics.Shuffle), at("reducer", p.topics.Partials),
		at("writer", p.topics.Rankings), at("writer", p.topics.Results),
	}}, nil
}

func (p *pipeline) wait(ctx context.Context, until int64) error {
	return Wait(ctx, Options{Log: &p.log, Input: "clicks", Topics: p.topics, Until: until, Status: p.status})
}

// TestWait follows one click through the stages, each a few questions later.
func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline()
		p.write(t, "clicks")
		minute := time.UnixMilli(60_000)
		p.until = &minute // the minute is final already: what is sent corrects it
		p.step = func(asked int) {
			switch asked {
			case 3:
				p.next["clicks"] = 1
				p.write(t, p.topics.Shuffle)
			case 6:
				p.next[p.topics.Shuffle], p.unsaid = 1, 1 // folded, and not yet said
			case 9:
				p.unsaid = 0
				p.write(t, p.topics.Partials)
			case 12:
				p.next[p.topics.Partials] = 1
				p.write(t, p.topics.Results)
			case 15:
				p.next[p.topics.Results] = 1
			}
		}
		if err := p.wait(t.Context(), 60_000); err != nil {
			t.Fatal(err)
		}
		if p.asked < 15 {
			t.Errorf("came back after %d questions, before it was stored", p.asked)
		}
	})
}

// Stored is not enough either: the minute must be final.
func TestFinalIsAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline()
		minute := time.UnixMilli(60_000)
		p.step = func(asked int) {
			if asked == 9 {
				p.until = &minute
			}
		}
		if err := p.wait(t.Context(), 60_000); err != nil || p.asked < 9 {
			t.Errorf("%v after %d questions", err, p.asked)
		}
	})
}

// A final minute is not enough: what was sent may correct it.
func TestCorrectionIsAwaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline()
		p.write(t, "clicks")
		minute := time.UnixMilli(60_000)
		p.until = &minute
		p.step = func(int) {}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.wait(ctx, 60_000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("came back with %v though nothing was mapped", err)
		}
	})
}

func TestAnswersStayAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline()
		away := errors.New("away")
		err := Wait(t.Context(), Options{
			Log: &p.log, Input: "clicks", Topics: p.topics, Until: click.None,
			Status: func(context.Context) (api.Status, error) { return api.Status{}, away },
		})
		if !errors.Is(err, away) {
			t.Errorf("%v", err)
		}
	})
}
