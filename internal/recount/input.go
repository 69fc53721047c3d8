package recount

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

// Input is where records are read from. It is used by one goroutine.
type Input interface {
	// Sources lists the source partitions there are.
	Sources(ctx context.Context) ([]click.Source, error)
	// Bounds returns the first offset of a source that can be read and the one after
	// the last.
	Bounds(ctx context.Context, s click.Source) (start, end int64, err error)
	// AsOf is a time of the brokers' clocks before which all that was appended is read when
	// sources are read to the ends they have now; [click.None] when none is known.
	AsOf() int64
	// Read calls f for the records with offsets in [from, to), in order, until f returns an
	// error, which it returns. A record is valid only during the call.
	Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error
}

// errEnough ends a Read.
var errEnough = errors.New("enough")

// logInput reads the input topics.
type logInput struct {
	log     stream.Log
	sources []click.Source
	asOf    int64
}

// FromLog reads sources of a log, which has all that was appended before a time of the
// brokers' clocks: click.None when that is not known.
func FromLog(log stream.Log, sources []click.Source, asOf int64) Input {
	return &logInput{log, sources, asOf}
}

func (l *logInput) AsOf() int64 { return l.asOf }

func (l *logInput) Sources(context.Context) ([]click.Source, error) { return l.sources, nil }

func (l *logInput) Bounds(ctx context.Context, s click.Source) (start, end int64, err error) {
	return l.log.Bounds(ctx, s.Topic, s.Partition)
}

// readWait is how long a read waits for records that are known to be there.
const readWait = 100 * time.Millisecond

func (l *logInput) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	if from >= to {
		return nil
	}
	r, err := l.log.Open(ctx, s.Topic, s.Partition, stream.Place{Offset: from, Epoch: stream.NoEpoch, Topic: s.ID})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	for next := from; next < to; {
		b, err := r.Read(ctx, readWait)
		if err != nil {
			return err
		}
		for i := range b.Records {
			if b.Records[i].Offset >= to {
				return nil
			}
			if err := f(&b.Records[i]); err != nil {
				return err
			}
		}
		next = b.Next
	}
	return nil
}

// rawInput reads the raw store.
type rawInput struct {
	store storage.RawStore
	log   Input
	asOf  int64
}

// FromRaw reads what the role raw kept of a log.
func FromRaw(store storage.RawStore, log Input) Input { return &rawInput{store, log, click.None} }

// Sources lists those that have records, and those of the log that lack their records here.
// It finds out whether all that the log has is stored.
func (r *rawInput) Sources(ctx context.Context) ([]click.Source, error) {
	names, err := r.store.Sources(ctx)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	written, err := r.log.Sources(ctx)
	if err != nil {
		return nil, err
	}
	r.asOf = r.log.AsOf()
	for _, s := range written {
		_, end, err := r.log.Bounds(ctx, s)
		if err != nil {
			return nil, err
		}
		if _, ok, err := r.first(ctx, s, max(0, end-1), math.MaxInt64); err != nil {
			return nil, err
		} else if ok || end == 0 {
			continue
		}
		r.asOf = click.None
		if !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	return names, nil
}

// AsOf is that of the log when all that it has is stored.
func (r *rawInput) AsOf() int64 { return r.asOf }

// Bounds feels its way to the end, since a store does not know it.
func (r *rawInput) Bounds(ctx context.Context, s click.Source) (start, end int64, err error) {
	start, ok, err := r.first(ctx, s, 0, math.MaxInt64)
	if err != nil || !ok {
		return 0, 0, err
	}
	low, high, step := start, int64(math.MaxInt64), int64(1)
	for low+1 < high { // a record is at or above low, none at or above high
		at := low + step
		if step = min(2*step, 1<<40); at >= high {
			at, step = low+(high-low)/2, 1
		}
		found, ok, err := r.first(ctx, s, at, high)
		if err != nil {
			return 0, 0, err
		}
		if ok {
			low = found
		} else {
			high = at
		}
	}
	return start, low + 1, nil
}

// first is the offset of the first record in [from, to).
func (r *rawInput) first(ctx context.Context, s click.Source, from, to int64) (at int64, ok bool, err error) {
	err = r.store.Read(ctx, s, from, to, func(rec *click.Record) error {
		at, ok = rec.Offset, true
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return at, ok, err
}

func (r *rawInput) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	return r.store.Read(ctx, s, from, to, f)
}
