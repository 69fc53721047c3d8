package api

import (
	"bytes"
	"context"
	"sync"
	"time"
)

const (
	tick        = time.Second // between two looks at what changed
	asksAtOnce  = 8           // questions of all streams that run at a time
	eventsAhead = 64          // events a reader may be behind
)

// hub asks once a tick for all streams that want the same, and tells them what
// changed. It has a goroutine for each thing that is wanted, and none otherwise.
type hub struct {
	mu    sync.Mutex // of feeds, and of all that is in them
	feeds map[string]*feed
	turns chan struct{} // a place per running question
}

func newHub() *hub { return &hub{feeds: map[string]*feed{}, turns: make(chan struct{}, asksAtOnce)} }

// feed is one thing that is wanted.
type feed struct {
	readers map[*reader]bool
	last    []byte // the newest event
	stop    context.CancelFunc
	ended   chan struct{}
}

// reader is one stream. It gets events that others get as well, and must not
// change them.
type reader struct {
	events chan []byte
	behind chan struct{} // closed when it did not keep up; it gets nothing more
	lost   bool
}

func newReader() *reader {
	return &reader{events: make(chan []byte, eventsAhead), behind: make(chan struct{})}
}

// tell hands an event to the reader, or gives it up. The hub's lock is held.
func (r *reader) tell(event []byte) {
	if r.lost {
		return
	}
	select {
	case r.events <- event:
	default:
		r.lost = true
		close(r.behind)
	}
}

// join has a reader told what ask returns, now and whenever that changes. Who
// wants the same has the same key; only the first one's ask is called, by one
// goroutine at a time, until the last of them has left. It returns nil when there is
// nothing to tell. When leave returns, it is not running.
func (h *hub) join(r *reader, key string, ask func(context.Context) []byte) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[key]
	if f == nil {
		ctx, stop := context.WithCancel(context.Background())
		f = &feed{readers: map[*reader]bool{}, stop: stop, ended: make(chan struct{})}
		h.feeds[key] = f
		go h.run(ctx, f, ask)
	}
	f.readers[r] = true
	if f.last != nil {
		r.tell(f.last)
	}
	return func() { h.leave(r, key, f) }
}

func (h *hub) leave(r *reader, key string, f *feed) {
	h.mu.Lock()
	delete(f.readers, r)
	last := len(f.readers) == 0
	if last {
		delete(h.feeds, key)
	}
	h.mu.Unlock()
	if last {
		f.stop()
		<-f.ended
	}
}

func (h *hub) run(ctx context.Context, f *feed, ask func(context.Context) []byte) {
	defer close(f.ended)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case h.turns <- struct{}{}:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, questionTimeout)
		event := ask(limited)
		cancel()
		<-h.turns
		if event != nil {
			h.tell(f, event)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell hands an event to all who want it, unless they have it.
func (h *hub) tell(f *feed, event []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if bytes.Equal(event, f.last) {
		return
	}
	f.last = event
	for r := range f.readers {
		r.tell(event)
	}
}
