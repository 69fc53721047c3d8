package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
)

const (
	linger  = 10 * time.Millisecond // between two appends of the load, as of a producer
	senders = 4                     // appends under way at once
	queued  = 1000                  // appends that may wait: ten seconds of schedule
)

// load sends clicks on schedule: a slot every linger, each with its share of the
// rate. A slot that cannot be sent in time waits; the next ones do not wait for it
// as long as a sender is free, and none is left out.
type load struct {
	log        stream.Log
	topic      string
	partitions uint64
	events     *gen.Generator
	rate       float64
	marks      *watermarks

	now    atomic.Int64 // event time of the slot being made, Unix ms
	slots  chan *slot
	free   sync.Pool
	acked  atomic.Int64 // clicks
	behind atomic.Int64 // the longest from when a slot was due until it was acknowledged, ns
}

// slot is what one append sends.
type slot struct {
	due      time.Time
	arena    []byte
	messages []stream.Message
	greatest []int64 // event time by partition, Unix ms; 0 where there is no click
}

func newLoad(log stream.Log, topic stream.Topic, o *options, marks *watermarks) (*load, error) {
	l := &load{
		log: log, topic: topic.Name, partitions: uint64(topic.Partitions), rate: o.rate, marks: marks,
		slots: make(chan *slot, queued),
	}
	l.free.New = func() any { return &slot{greatest: make([]int64, topic.Partitions)} }
	g := gen.Defaults()
	g.Events, g.Ads, g.Zipf, g.OutOfOrder, g.Rate = 0, o.ads, o.zipf, outOfOrder, o.rate
	l.now.Store(time.Now().UnixMilli())
	g.Now = func() time.Time { return time.UnixMilli(l.now.Load()) }
	var err error
	l.events, err = gen.New(g)
	return l, err
}

// run sends until ctx ends, and then what was due by then.
func (l *load) run(ctx context.Context) error {
	errs := make(chan error, senders)
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for s := range l.slots {
				if err := l.send(context.WithoutCancel(ctx), s); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	begun := time.Now()
	sent := 0.0
	for n := 1; ctx.Err() == nil && len(errs) == 0; n++ {
		due := begun.Add(time.Duration(n) * linger)
		s := l.make(due, int(l.rate*due.Sub(begun).Seconds()-sent))
		sent += float64(len(s.messages))
		time.Sleep(time.Until(due))
		select {
		case l.slots <- s:
		case <-ctx.Done():
		}
	}
	close(l.slots)
	all.Wait()
	select {
	case err := <-errs:
		return fmt.Errorf("load: %w", err)
	default:
		return nil
	}
}

// make fills a slot before it is due.
func (l *load) make(due time.Time, clicks int) *slot {
	s := l.free.Get().(*slot)
	s.due, s.arena, s.messages = due, s.arena[:0], s.messages[:0]
	clear(s.greatest)
	l.now.Store(due.UnixMilli())
	var e gen.Event
	for range clicks {
		l.events.Next(&e)
		from := len(s.arena)
		s.arena = append(s.arena, e.Value...)
		// Copies go where their first one went.
		p := int32(xxh3.Hash(e.Key) % l.partitions)
		s.messages = append(s.messages, stream.Message{Partition: p, Value: s.arena[from:len(s.arena):len(s.arena)]})
		if e.Kind != gen.Garbage {
			s.greatest[p] = max(s.greatest[p], e.At)
		}
	}
	return s
}

func (l *load) send(ctx context.Context, s *slot) error {
	if err := l.log.Append(ctx, l.topic, s.messages); err != nil {
		return err
	}
	now := time.Now()
	l.acked.Add(int64(len(s.messages)))
	for behind := int64(now.Sub(s.due)); ; {
		old := l.behind.Load()
		if behind <= old || l.behind.CompareAndSwap(old, behind) {
			break
		}
	}
	l.marks.acked(now, s.greatest)
	l.free.Put(s)
	return nil
}

// watermarks knows how far event time is in each source partition, by what was
// acknowledged, and calls passed for each window's end that all of them have passed
// by the delay.
type watermarks struct {
	delay, size int64 // ms
	passed      func(end int64, at time.Time)

	mu       sync.Mutex
	greatest []int64
	next     int64 // the end that was not passed yet; 0 before anything was acknowledged
}

func (w *watermarks) acked(now time.Time, greatest []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.greatest == nil {
		w.greatest = make([]int64, len(greatest))
	}
	least := int64(1) << 62
	for i, at := range greatest {
		w.greatest[i] = max(w.greatest[i], at)
		least = min(least, w.greatest[i])
	}
	if least == 0 {
		return
	}
	if w.next == 0 {
		w.next = (least-w.delay)/w.size*w.size + w.size
	}
	for ; least-w.delay >= w.next; w.next += w.size {
		w.passed(w.next, now)
	}
}
