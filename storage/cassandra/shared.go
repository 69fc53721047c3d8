package cassandra

import (
	"context"
	"sync"
	"time"
)

// patience is how long a round waits for the one before it. A request that hangs, as one to a node that has just gone,
// must not hold up whoever asks after it.
const patience = 100 * time.Millisecond

// shared is a read that all who ask for it at the same time share. They gather in a round while the round before is
// under way, so under load the servers are asked once where they were asked by each. Nothing is
// kept: every answer is of a read that began after it was asked for, and so is as new as one's own would be. It
// makes a goroutine for each of the rounds, which are two at most unless the servers hang.
type shared[T any] struct {
	read func() (T, error)

	mu        sync.Mutex
	gathering *round[T]       // whose read has not begun; nil when nobody waits for one
	before    <-chan struct{} // closed when the newest round is over
}

// round is one read for all who gathered.
type round[T any] struct {
	over   chan struct{}
	answer T
	err    error
}

func newShared[T any](read func() (T, error)) *shared[T] {
	none := make(chan struct{})
	close(none)
	return &shared[T]{read: read, before: none}
}

// get returns what a read says that begins after get was called, or the error of the context when that ends first.
// Others have the same answer: it may not be changed.
func (s *shared[T]) get(ctx context.Context) (T, error) {
	r := s.join()
	select {
	case <-r.over:
		return r.answer, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// join finds the round that gathers, or begins to gather one.
func (s *shared[T]) join() *round[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gathering == nil {
		s.gathering = &round[T]{over: make(chan struct{})}
		go s.run(s.gathering, s.before)
		s.before = s.gathering.over
	}
	return s.gathering
}

// run reads for a round, after the one before. Whoever comes once the read begins is of another round.
func (s *shared[T]) run(r *round[T], before <-chan struct{}) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-before:
	case <-late.C:
	}
	s.mu.Lock()
	s.gathering = nil
	s.mu.Unlock()
	r.answer, r.err = s.read()
	close(r.over)
}
