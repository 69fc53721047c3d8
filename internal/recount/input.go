package recount

import (
	"context"
	"errors"
	"sort"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Input is where records are read from. It is used by one goroutine; of different sources, when they are known, also by as
// many at once as there are [Rules].Workers.
type Input interface {
	// Sources lists the source partitions there are.
	Sources(ctx context.Context) ([]click.Source, error)
	// Bounds returns the first offset of a source that can be read and the one after
	// the last.
	Bounds(ctx context.Context, s click.Source) (start, end int64, err error)
	// AsOf is a time of the brokers' clocks before which all that was appended is read when
	// sources are read to the ends they have now; [click.None] when none is known.
	AsOf() int64
	// Since returns the first offset in [start, end) whose record, or the first one after it, was appended at a time (Unix ms) or
	// later; end when there is none. Append times rise but for the difference of two brokers' clocks, by which it may be wrong.
	Since(ctx context.Context, s click.Source, start, end, ms int64) (int64, error)
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

func (l *logInput) Since(ctx context.Context, s click.Source, start, end, ms int64) (int64, error) {
	return search(ctx, l, s, start, end, ms)
}

// search is [Input.Since] for an input that has no index.
func search(ctx context.Context, in Input, s click.Source, start, end, ms int64) (int64, error) {
	var failed error
	n := sort.Search(int(end-start), func(i int) bool {
		rec, ok, err := first(ctx, in.Read, s, start+int64(i), end)
		failed = errors.Join(failed, err)
		return failed != nil || !ok || rec.Append >= ms
	})
	return start + int64(n), failed
}

// read is a way to read records.
type read func(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error

// first returns the first record in [from, to) without its bytes.
func first(ctx context.Context, read read, s click.Source, from, to int64) (rec click.Record, ok bool, err error) {
	err = read(ctx, s, from, to, func(found *click.Record) error {
		rec, ok = click.Record{Offset: found.Offset, Append: found.Append}, true
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return rec, ok, err
}
