package recount

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/clickagg/clickagg/internal/click"
)

const (
	// fewSources is how many sources are few. Each of these has laneTurns turns, so that one can be counted while the next is
	// filled; of more, others are filled meanwhile. And their reads go on from turn to turn, which would be too many
	// buffers, of many MB each, if more were open.
	fewSources = 16
	laneTurns  = 2
	// readTurns is after how many turns a read ends and another goes on: a store cannot let go of what expires while a
	// read is open that began before.
	readTurns = 50
)

// lane carries turns of a source from the goroutine that fills them to the one that counts them, and back.
type lane struct {
	*reader
	working    chan struct{} // has room for as many as may work at once
	full, free chan *turn
	filling    *turn // nil while it waits for one
	most       int   // turns of one read
}

// turnsEach is how many turns each of some sources has, to be filled or counted.
func turnsEach(sources int) int {
	if sources <= fewSources {
		return laneTurns
	}
	return 1
}

// turnRecords is how many records of each of some sources are read at once.
func turnRecords(sources int) int64 {
	return int64(min(max(heldRecords/(turnsEach(sources)*max(sources, 1)), turnLeast), turnMost))
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
		n := turnsEach(len(sources))
		l := &lane{reader: s.reader, working: working, full: make(chan *turn, n), free: make(chan *turn, n), most: 1}
		if len(sources) <= fewSources {
			l.most = readTurns
		}
		for range n {
			l.free <- new(turn)
		}
		s.lane = l
		all.Go(func() {
			for l.carry(ctx) {
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
func (l *lane) carry(ctx context.Context) (on bool) {
	if l.wait(ctx) != nil {
		return false
	}
	err := l.read(ctx)
	if l.filling == nil { // ended while it waited for another
		return false
	}
	on = err == nil && !l.filling.done
	l.filling.err = err
	l.pass()
	return on
}

// read fills turns in one read: at most so many, and none for which it would have to wait. Then what counts is behind, and another
// read costs it nothing. The last one is not passed on yet. A panic is an error as well.
func (l *lane) read(ctx context.Context) (err error) {
	defer caught(&err)
	n := 0
	err = l.in.Read(ctx, l.name, l.next, l.end, func(rec *click.Record) error {
		if !l.reader.take(l.filling, rec) {
			return nil
		}
		l.seal(l.filling, false)
		if n++; n == l.most || l.filling.done || len(l.free) == 0 {
			return errEnough
		}
		l.pass()
		return l.wait(ctx)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err == nil {
		l.seal(l.filling, true)
	}
	return err
}

// wait waits for a turn to fill, and until there is a worker for it.
func (l *lane) wait(ctx context.Context) error {
	var t *turn
	select {
	case t = <-l.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case l.working <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.begin(t)
	l.filling = t
	return nil
}

// pass passes a turn on to be counted, and the work to whoever waits for it.
func (l *lane) pass() {
	l.full <- l.filling // has room for all turns
	l.filling = nil
	<-l.working
}

// take returns the next turn of a source, to be given back when it is counted. Without a lane that is the one it is given.
func (s *source) take(ctx context.Context, alone *turn) (*turn, error) {
	t := alone
	if s.lane == nil {
		t.err = s.reader.fill(ctx, t)
	} else {
		select {
		case t = <-s.lane.full:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	rethrow(t.err)
	if t.err != nil {
		return nil, fmt.Errorf("recount: read %v: %w", s.reader.name, t.err)
	}
	s.next, s.watermark, s.done = t.next, t.watermark, t.done
	return t, nil
}

// give gives a turn back. Of a source that is done, no turn is held any more.
func (s *source) give(t *turn) {
	switch {
	case s.lane == nil:
	case s.done:
		s.lane = nil
	default:
		s.lane.free <- t
	}
}
