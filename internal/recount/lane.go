package recount

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/clickagg/clickagg/internal/click"
)

// laneTurns is how many turns of a source are held at once: one is counted while another is filled.
const laneTurns = 2

// readsHeld is of how many sources the reading waits, as it is, while their turns are counted. Of more it ends with each turn
// and goes on in another: an open read can hold buffers of many MB.
const readsHeld = 16

// lane carries turns from the goroutine that fills them to the one that counts them, and back.
type lane struct {
	full, free chan *turn
	counted    *turn // the one to give back
	holds      bool  // one read is for as many turns as there are
}

// ahead has sources read by goroutines of their own, of which as many work at once as there are workers;
// without workers it changes nothing. Stop ends them, and waits for it.
func (p *plan) ahead(ctx context.Context, sources []*source) (stop func()) {
	if p.rules.Workers == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	working := make(chan struct{}, p.rules.Workers)
	var all sync.WaitGroup
	for _, s := range sources {
		l := &lane{full: make(chan *turn, laneTurns), free: make(chan *turn, laneTurns), holds: len(sources) <= readsHeld}
		for range laneTurns {
			l.free <- new(turn)
		}
		s.lane = l
		all.Go(func() {
			for l.carry(ctx, s.reader, working) {
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// carry fills turns in one read. It tells whether the source is to be read on: it is not when it is done, an error has ended
// it, or nobody wants its turns any more.
func (l *lane) carry(ctx context.Context, r *reader, working chan struct{}) (on bool) {
	t, err := l.turn(ctx, r, working)
	if err != nil {
		return false
	}
	defer func() {
		if t == nil {
			return
		}
		if defect := recover(); defect != nil { // whoever asked has to know, and nobody else
			t.defect = fmt.Sprintf("%v\n%s", defect, debug.Stack())
		}
		on = t.err == nil && t.defect == "" && !t.done
		l.full <- t // has room for all turns
		<-working
	}()
	err = r.in.Read(ctx, r.name, r.next, r.end, func(rec *click.Record) (err error) {
		if !r.take(t, rec) {
			return nil
		}
		if t.err = r.seal(t, false); t.err != nil || t.done || !l.holds {
			return errEnough
		}
		l.full <- t
		<-working
		t, err = l.turn(ctx, r, working)
		return err
	})
	switch {
	case t == nil: // ended while it waited for one
	case err == nil:
		t.err = r.seal(t, true)
	case !errors.Is(err, errEnough):
		t.err = err
	}
	return false
}

// turn waits for a turn to fill, and until there is a worker for it.
func (l *lane) turn(ctx context.Context, r *reader, working chan struct{}) (t *turn, err error) {
	select {
	case t = <-l.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case working <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.begin(t)
	return t, nil
}

// take returns the next turn of a source. It is valid until the next take.
func (s *source) take(ctx context.Context) (*turn, error) {
	t, l := &s.reader.turn, s.lane
	if l == nil {
		t.err = s.reader.fill(ctx, t)
	} else {
		if l.counted != nil {
			l.free <- l.counted
		}
		select {
		case t = <-l.full:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		l.counted = t
	}
	if t.defect != "" {
		panic(t.defect)
	}
	if t.err != nil {
		return nil, fmt.Errorf("recount: read %v: %w", s.reader.name, t.err)
	}
	s.next, s.watermark, s.done = t.next, t.watermark, t.done
	return t, nil
}
