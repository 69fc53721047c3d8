package cassandra

import (
	"context"
	"sync"
	"time"
)

const (
	// marksAtOnce is how many reads of the marks are under way at most. With one, a question that found it under way
	// would wait for half of it on average; with two it waits for a quarter, and nobody waits while few ask.
	marksAtOnce = 2
	// patience is how long a round waits for its turn. Requests that hang, as those to a node that has just gone, must not
	// hold up whoever asks after them.
	patience = 100 * time.Millisecond
)

// shared is a read that all who ask for it at the same time share. They gather in a round while earlier rounds are
// under way, so under load the servers are asked once where they were asked by each. Nothing is
// kept: every answer is of a read that began after it was asked for, and so is as new as one's own would be. It
// makes a goroutine for each of the rounds, which are one more than may be under way unless the servers hang.
type shared[T any] struct {
	read  func() (T, error)
	turns chan struct{} // one for each read under way

	mu        sync.Mutex
	gathering *round[T] // whose read has not begun; nil when nobody waits for one
}

// round is one read for all who gathered.
type round[T any] struct {
	over   chan struct{}
	answer T
	err    error
}

func newShared[T any](atOnce int, read func() (T, error)) *shared[T] {
	return &shared[T]{read: read, turns: make(chan struct{}, atOnce)}
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
		go s.run(s.gathering)
	}
	return s.gathering
}

// run reads for a round when it is its turn. Whoever comes once the read begins is of another round.
func (s *shared[T]) run(r *round[T]) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-late.C:
	}
	s.mu.Lock()
	s.gathering = nil
	s.mu.Unlock()
	r.answer, r.err = s.read()
	close(r.over)
}
