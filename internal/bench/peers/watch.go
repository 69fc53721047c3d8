package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// watch reads what a contestant says, as any reader sees it: only what is
// committed. It notes when answers came.
type watch struct {
	log  *kafka.Log
	from answers
	done chan struct{} // closed when everything was said

	ended chan struct{} // closed when it reads no more
	err   error         // why, when that was not ctx; read after ended

	mu          sync.Mutex
	check       *checker
	first, last time.Time // of the first final count; of the last answer that was missing
	recent      time.Time // of any record
	records     int64
}

func newWatch(log *kafka.Log, from answers, t *truth) *watch {
	return &watch{log: log, from: from, done: make(chan struct{}), ended: make(chan struct{}), check: newChecker(t, from.tolerant)}
}

// run reads until ctx ends.
func (w *watch) run(ctx context.Context) {
	defer close(w.ended)
	parts, ctx := errgroup.WithContext(ctx)
	for topic, take := range map[string]func(*checker, *click.Record){w.from.results: w.from.result, w.from.tops: w.from.top} {
		parts.Go(func() error {
			t, err := w.log.Topic(ctx, topic)
			if err != nil {
				return fmt.Errorf("read the answers: %w", err)
			}
			for p := range t.Partitions {
				parts.Go(func() error { return w.read(ctx, topic, p, take) })
			}
			return nil
		})
	}
	w.err = parts.Wait()
}

func (w *watch) read(ctx context.Context, topic string, partition int32, take func(*checker, *click.Record)) error {
	r, err := w.log.Open(ctx, topic, partition, stream.At(0))
	if err != nil {
		return fmt.Errorf("read the answers: %w", err)
	}
	defer func() { _ = r.Close() }()
	for {
		batch, err := r.Read(ctx, time.Second)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the answers: %w", err)
		}
		if len(batch.Records) > 0 {
			w.take(batch.Records, take)
		}
	}
}

func (w *watch) take(records []click.Record, take func(*checker, *click.Record)) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.check.complete()
	for i := range records {
		take(w.check, &records[i])
	}
	w.recent, w.records = now, w.records+int64(len(records))
	if w.first.IsZero() && w.check.said > 0 {
		w.first = now
	}
	if !before && w.check.complete() {
		w.last = now
		close(w.done)
	}
}

// silence is for how long nothing has come; since start if nothing ever came.
func (w *watch) silence(start time.Time) (d time.Duration, began bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.recent.IsZero() {
		return time.Since(start), false
	}
	return time.Since(w.recent), true
}

// progress is how much was said.
func (w *watch) progress() (said, of int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.check.said, w.check.truth.finals
}

// verdict is nil when everything was said and right.
func (w *watch) verdict() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.check.verdict()
}
