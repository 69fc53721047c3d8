package access

import (
	"container/list"
	"sync"

	"golang.org/x/time/rate"
)

// strangersMost bounds the limiters that are kept: about a megabyte.
const strangersMost = 10_000

// limiters keeps one limiter for each address that asked lately. When there are too
// many, the address that was silent for longest is forgotten.
type limiters struct {
	fresh func() *rate.Limiter

	mu     sync.Mutex
	byName map[string]*list.Element // of stranger
	recent *list.List               // the latest first
}

type stranger struct {
	name    string
	limiter *rate.Limiter
}

func newLimiters(fresh func() *rate.Limiter) *limiters {
	return &limiters{fresh: fresh, byName: map[string]*list.Element{}, recent: list.New()}
}

func (l *limiters) of(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byName[name]; e != nil {
		l.recent.MoveToFront(e)
		return e.Value.(stranger).limiter
	}
	if l.recent.Len() == strangersMost {
		oldest := l.recent.Back()
		delete(l.byName, oldest.Value.(stranger).name)
		l.recent.Remove(oldest)
	}
	s := stranger{name, l.fresh()}
	l.byName[name] = l.recent.PushFront(s)
	return s.limiter
}
