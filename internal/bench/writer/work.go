package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	ads    = 100_000 // distinct ones
	minute = 60_000  // ms
)

// versions are handed out to batches: each batch is newer than all before it.
var versions atomic.Int64

// work stores batches for a time, and returns how many rows were stored and how
// long it took until the last was acknowledged.
func work(ctx context.Context, s storage.Store, l load, long time.Duration) (rows int64, took time.Duration, err error) {
	var stored atomic.Int64
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for w := range l.writers {
		g.Go(func() error {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			b := storage.Batch{Results: make([]click.Result, l.batch)}
			var names []byte
			for time.Since(began) < long {
				names = fill(&b, names[:0], rng, w, l.writers)
				if err := s.Apply(ctx, &b); err != nil {
					return err
				}
				stored.Add(int64(l.batch))
			}
			return nil
		})
	}
	err = g.Wait()
	return stored.Load(), time.Since(began), err
}

// fill makes the rows of one tick: ads of this writer, each once, as writers send
// them, in the newest minute.
func fill(b *storage.Batch, names []byte, rng *rand.Rand, writer, writers int) []byte {
	version := versions.Add(1)
	start := version / 240 * minute // sixty ticks of four writers
	of := ads / writers
	step := max(1, of/len(b.Results))
	first := rng.IntN(of)
	for i := range b.Results {
		at := len(names)
		names = fmt.Appendf(names, "ad-%08d", (first+i*step)%of*writers+writer)
		b.Results[i] = click.Result{
			Ad: names[at:len(names):len(names)], Start: start, Size: minute, Filter: click.FilterAll,
			Count: version, Revision: 1, State: click.Provisional, Version: version,
		}
	}
	return names
}

// workRaw stores raw records for a time, each writer those of a source of its own.
func workRaw(ctx context.Context, s storage.RawStore, l load, long time.Duration) (records int64, took time.Duration, err error) {
	var stored atomic.Int64
	id := click.TopicID{15: byte(versions.Add(1))} // of this run: nothing is stored again
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for w := range l.writers {
		g.Go(func() error {
			source := click.Source{Topic: "clicks", ID: id, Partition: int32(w)}
			batch := make([]click.Record, l.batch)
			var values []byte
			for next := int64(0); time.Since(began) < long; next += int64(l.batch) {
				now := time.Now().UnixMilli()
				values = values[:0]
				for i := range batch {
					offset, at := next+int64(i), len(values)
					values = fmt.Appendf(values, `{"event_id":"%08x-%04x-4f37-8c04-9c454d754fe7","ad_id":"ad%06d","ts":%d,"user_id":"u%04d","ip":"10.0.0.1","country":"KR"}`,
						uint32(offset)*2654435761, w, offset*offset%ads, now, offset%5000)
					batch[i] = click.Record{Offset: offset, Append: now, Value: values[at:len(values):len(values)]}
				}
				if err := s.Put(ctx, source, batch); err != nil {
					return err
				}
				stored.Add(int64(l.batch))
			}
			return nil
		})
	}
	err = g.Wait()
	return stored.Load(), time.Since(began), err
}
