package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/stream"
)

const (
	askEvery = 20 * time.Millisecond // least time between two questions for one probe
	askers   = 4                     // questions under way at once
	perFinal = 8                     // ads asked for of each window that closes
)

// probe is a click of an ad of its own.
type probe struct {
	ad    string
	start int64 // of its window, Unix ms
	acked time.Time
}

// question is a probe that is asked for until it is seen.
type question struct {
	*probe
	final bool
	since time.Time // from when the time is taken
	asked time.Time // last
	count bool      // whether it counts, or belongs to the warm-up
}

// prober sends probes and asks for them.
type prober struct {
	log        stream.Log
	topic      string
	partitions int32
	api        *client.Client
	size       int64 // of a window, ms

	from        time.Time // measured are the clicks and the windows' ends from here on
	firstWindow int64     // the first that probes were sent in all the time, Unix ms

	mu                 sync.Mutex
	open               []*question
	byWindow           map[int64][]*probe
	provisional, final sample
	asks               sample // the time between two questions for the same probe
	acks               int64
	faults             []error
}

// sample is a list of durations.
type sample []time.Duration

// send sends probes evenly spread in time and over the phases of whatever beats in
// the system, until ctx ends. A probe that is acknowledged late keeps none of the
// others back.
func (p *prober) send(ctx context.Context, rate float64) {
	var all sync.WaitGroup
	random := rand.New(rand.NewPCG(1, 2))
	begun, gap := time.Now(), time.Duration(float64(time.Second)/rate)
	for n := 0; ; n++ {
		due := begun.Add(time.Duration(n)*gap + time.Duration(random.Int64N(int64(gap))))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			all.Wait()
			return
		}
		all.Go(func() { p.sendOne(context.WithoutCancel(ctx), n) })
	}
}

func (p *prober) sendOne(ctx context.Context, n int) {
	now := time.Now().UnixMilli()
	one := &probe{ad: fmt.Sprintf("probe-%06d", n), start: now / p.size * p.size}
	value := fmt.Appendf(nil, `{"event_id":"%[1]s","ad_id":"%[1]s","ts":%d}`, one.ad, now)
	err := p.log.Append(ctx, p.topic, []stream.Message{{Partition: int32(n) % p.partitions, Value: value}})
	one.acked = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.faults = append(p.faults, err)
		return
	}
	p.acks++
	p.byWindow[one.start] = append(p.byWindow[one.start], one)
	p.open = append(p.open, &question{probe: one, since: one.acked, count: !one.acked.Before(p.from)})
}

// passed asks for the final counts of some of the probes of a window.
func (p *prober) passed(end int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	probes := p.byWindow[end-p.size]
	delete(p.byWindow, end-p.size)
	if end-p.size < p.firstWindow {
		return
	}
	for i := range min(perFinal, len(probes)) {
		one := probes[i*len(probes)/perFinal]
		p.open = append(p.open, &question{probe: one, final: true, since: at, count: !at.Before(p.from)})
	}
}

// ask asks for all open probes, round after round, until ctx ends or, when drain is
// closed, none is open.
func (p *prober) ask(ctx context.Context, drain <-chan struct{}) {
	work := make(chan *question)
	defer close(work)
	var round sync.WaitGroup
	for range askers {
		go func() {
			for q := range work {
				p.askOne(ctx, q)
				round.Done()
			}
		}()
	}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		open := append([]*question(nil), p.open...)
		p.mu.Unlock()
		select {
		case <-drain:
			if len(open) == 0 {
				return
			}
		default:
		}
		round.Add(len(open))
		for _, q := range open {
			work <- q
		}
		round.Wait()
	}
}

func (p *prober) askOne(ctx context.Context, q *question) {
	before := time.Now()
	c, err := p.api.Count(ctx, q.ad, client.Range{
		From: strconv.FormatInt(q.start, 10), To: strconv.FormatInt(q.start+p.size, 10),
	})
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !q.asked.IsZero() && q.count {
		p.asks = append(p.asks, before.Sub(q.asked))
	}
	q.asked = before
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		p.faults = append(p.faults, fmt.Errorf("ask for %s: %w", q.ad, err))
		p.close(q)
	case c.Count > 1 || c.Status == api.Final && c.Count != 1:
		p.faults = append(p.faults, fmt.Errorf("%s was clicked once, and the answer is %d", q.ad, c.Count))
		p.close(q)
	case q.final && c.Status != api.Final, c.Count == 0:
		return
	default:
		if took := now.Sub(q.since); !q.count || q.since.Before(p.from) {
			// of what is over
		} else if q.final {
			p.final = append(p.final, took)
		} else {
			p.provisional = append(p.provisional, took)
		}
		p.close(q)
	}
}

// close takes a question off the list.
func (p *prober) close(q *question) {
	for i, o := range p.open {
		if o == q {
			p.open[i] = p.open[len(p.open)-1]
			p.open = p.open[:len(p.open)-1]
			return
		}
	}
}

// restart begins to measure anew from a time on, and returns what there was before.
func (p *prober) restart(from time.Time) (provisional, final quantiles) {
	p.mu.Lock()
	defer p.mu.Unlock()
	provisional, final = p.provisional.quantiles(), p.final.quantiles()
	p.from, p.provisional, p.final = from, nil, nil
	return provisional, final
}

// sent is how many probes were acknowledged.
func (p *prober) sent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acks
}
