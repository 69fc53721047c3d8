package cassandra

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// asker asks a shared read, each time in a goroutine of its own, and remembers what was said.
type asker struct {
	*shared[int]
	said map[string]string
	mu   sync.Mutex
	wg   sync.WaitGroup
}

func newAsker(read func() (int, error)) *asker {
	return &asker{shared: newShared(1, read), said: map[string]string{}}
}

func (a *asker) ask(ctx context.Context, names ...string) {
	for _, name := range names {
		a.wg.Go(func() {
			answer, err := a.get(ctx)
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.said[name] = fmt.Sprint(answer); err != nil {
				a.said[name] = err.Error()
			}
		})
	}
	synctest.Wait()
}

// want compares what was said so far.
func (a *asker) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if got := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(a.said), "map["), "]"); got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

// TestSharedStory: who asks while a read is under way does not get what that read says, but what the next one
// does, together with all who came meanwhile.
func TestSharedStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reads, let := 0, make(chan error)
		a := newAsker(func() (int, error) {
			reads++
			mine := reads
			return mine, <-let
		})
		a.ask(t.Context(), "a")
		a.ask(t.Context(), "b", "c")
		gone, leave := context.WithCancel(t.Context())
		a.ask(gone, "d")
		a.want(t, "")
		leave()
		a.want(t, "d:context canceled")
		let <- nil
		a.want(t, "a:1 d:context canceled")
		a.ask(t.Context(), "e")
		let <- errors.New("ill")
		a.want(t, "a:1 b:ill c:ill d:context canceled")
		let <- nil
		a.want(t, "a:1 b:ill c:ill d:context canceled e:3")
		a.ask(t.Context(), "f")
		let <- nil
		a.wg.Wait()
		a.want(t, "a:1 b:ill c:ill d:context canceled e:3 f:4")
		if reads != 4 {
			t.Errorf("%d reads", reads)
		}
	})
}

// TestSharedHangs: a read that hangs holds up others no longer than [patience], each round of them.
func TestSharedHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		let := make(chan struct{})
		a := newAsker(func() (int, error) {
			mine := reads.Add(1)
			if mine == 1 {
				<-let
			}
			return int(mine), nil
		})
		a.ask(t.Context(), "a")
		a.ask(t.Context(), "b", "c")
		time.Sleep(patience - time.Nanosecond)
		a.want(t, "")
		time.Sleep(time.Nanosecond)
		a.want(t, "b:2 c:2")
		a.ask(t.Context(), "d")
		a.want(t, "b:2 c:2")
		time.Sleep(patience)
		a.want(t, "b:2 c:2 d:3")
		close(let)
		a.want(t, "a:1 b:2 c:2 d:3")
		a.ask(t.Context(), "e") // and nobody waits any more
		a.want(t, "a:1 b:2 c:2 d:3 e:4")
		a.wg.Wait()
	})
}

// TestSharedIsNew: whoever asks when, each answer is of a read that began after it was asked for, no
// more reads are under way than may be, and there are far fewer than questions.
func TestSharedIsNew(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var now, reads, under atomic.Int64 // now orders what happens: the clock of the bubble stands still between sleeps
			took := make([]time.Duration, 1000)
			for i := range took {
				took[i] = time.Duration(1 + rng.IntN(10))
			}
			s := newShared(marksAtOnce, func() (int64, error) {
				began := now.Add(1)
				if n := under.Add(1); n > marksAtOnce {
					t.Errorf("%d reads at once", n)
				}
				time.Sleep(took[reads.Add(1)])
				under.Add(-1)
				return began, nil
			})
			const clients, questions = 16, 20
			var wg sync.WaitGroup
			for range clients {
				pauses := rand.New(rand.NewPCG(rng.Uint64(), 2))
				wg.Go(func() {
					for range questions {
						asked := now.Add(1)
						began, err := s.get(t.Context())
						if err != nil || began <= asked {
							t.Errorf("asked at %d, read at %d, %v", asked, began, err)
						}
						time.Sleep(time.Duration(pauses.IntN(8)))
					}
				})
			}
			began := time.Now()
			wg.Wait()
			if n := reads.Load(); n > clients*questions/2 {
				t.Errorf("%d reads for %d questions in %v", n, clients*questions, time.Since(began))
			}
		})
	}
}
