package mapper

import (
	"context"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
)

// openPace is how long what is opened at once should do. A mapper that needs more
// sooner opens twice as much the next time, so that old and thin history does not wait
// at every minute.
const openPace = time.Second

// open lets this source route clicks up to, and with, an event time. Where ads are
// spread, and which filters hold, is then known for good: a fact holds from the end of what was opened before
// it in the control topic, so all that hold for an open minute stand before the
// record that opened it, and that one was read.
//
// What was judged before an offset is sent first: a section names the spans that are
// known when it is sent, and which end may be news.
func (s *source) open(ctx context.Context, offset, t int64) error {
	if offset > s.judge.State().Next {
		if err := s.send(ctx, offset, click.None); err != nil {
			return err
		}
	}
	facts, err := s.m.opened(ctx, t)
	if err != nil {
		return err
	}
	return s.route(facts)
}

// route goes by facts from now on. Spans that take no more clicks are left out, and
// filters that hold for none.
func (s *source) route(facts *control.Facts) error {
	closed := s.judge.State().Closed
	spans := facts.Spans(closed)
	filters, err := s.m.filters(facts.FilterSpans(closed))
	if err != nil {
		return err
	}
	s.judge.Open(facts.Opened(), spans)
	s.judge.Filter(filters)
	s.opened, s.spread = facts.Opened(), len(spans)
	return nil
}

// opened returns facts by which the minute of an event time is open, and opens it if
// need be.
func (m *Mapper) opened(ctx context.Context, t int64) (*control.Facts, error) {
	if f := m.facts.Load(); f != nil && f.Opened() > t {
		return f, nil
	}
	select { // one source opens for all of the process
	case m.opening <- struct{}{}:
		defer func() { <-m.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := m.learn(ctx)
	if err != nil || f.Opened() > t {
		return f, err
	}
	if err := control.Open(ctx, m.log, m.cfg.Topics.Control, m.opens(t)); err != nil {
		return nil, err
	}
	if f, err = m.learn(ctx); err == nil && f.Opened() <= t {
		err = fmt.Errorf("topic %s does not show what was just written to it", m.cfg.Topics.Control)
	}
	return f, err
}

// opens is the event time to open minutes up to, for a click at t. What is opened beyond
// delays spreads, so of the time to come it is no more than the least.
func (m *Mapper) opens(t int64) int64 {
	now, least := m.clock.Now(), m.cfg.Ahead.Milliseconds()
	if now.Sub(m.openedAt) < openPace {
		m.ahead = max(2*m.ahead, least)
	} else {
		m.ahead = max(m.ahead/2, least)
	}
	m.openedAt = now
	last := max(t+least, min(t+m.ahead, m.brokerTime(now)))
	size := m.cfg.Rule.Size
	return last/size*size + size
}

// openFirst sees to it that something is open, before the first source of all begins: so
// no click was mapped before there were facts of what is open.
func (m *Mapper) openFirst(ctx context.Context) error {
	f, err := m.learn(ctx)
	if err != nil || f.Opened() >= 0 {
		return err
	}
	if err := control.Open(ctx, m.log, m.cfg.Topics.Control, 0); err != nil {
		return err
	}
	_, err = m.learn(ctx)
	return err
}
