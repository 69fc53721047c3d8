package memory

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Log is an in-memory log. The zero Log is empty and ready.
type Log struct {
	// OnAppend and OnCommit, if set, run before the call takes effect; an error
	// is returned instead.
	OnAppend func(topic string, messages []stream.Message) error
	OnCommit func(group, topic string, partition int32, p stream.Position) error

	mu        sync.Mutex
	made      uint64
	topics    map[string]*topic
	positions map[string]stream.Position
	changed   chan struct{} // closed and replaced when something is appended
}

type topic struct {
	id         click.TopicID
	start      []int64
	partitions [][]click.Record
	epochs     [][]int32 // of the leaders that wrote the records
	leaders    []int32   // epochs of the present leaders
}

// before is the epoch of the leader that wrote the record before an offset.
func (t *topic) before(partition int32, offset int64) int32 {
	if e := t.epochs[partition]; offset > 0 && offset <= int64(len(e)) {
		return e[offset-1]
	}
	return stream.NoEpoch
}

var _ stream.Log = (*Log)(nil)

// Create makes a topic, or makes it anew: with another id and no records.
func (l *Log) Create(name string, partitions int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topics == nil {
		l.topics, l.positions = map[string]*topic{}, map[string]stream.Position{}
	}
	l.made++
	t := &topic{
		start: make([]int64, partitions), partitions: make([][]click.Record, partitions),
		epochs: make([][]int32, partitions), leaders: make([]int32, partitions),
	}
	t.id[0], t.id[1] = byte(l.made>>8), byte(l.made)
	l.topics[name] = t
}

// Cut deletes the records of a partition before an offset, as retention does.
func (l *Log) Cut(name string, partition int32, before int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topics[name].start[partition] = before
}

// Elect makes another leader of a partition, who does not have the records from an
// offset on, as an unclean election does.
func (l *Log) Elect(name string, partition int32, from int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	t.partitions[partition], t.epochs[partition] = t.partitions[partition][:from:from], t.epochs[partition][:from:from]
	t.leaders[partition]++
}

// Records returns what a partition holds, deleted records too.
func (l *Log) Records(name string, partition int32) []click.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.topics[name].partitions[partition])
}

func (l *Log) find(name string) (*topic, error) {
	t, ok := l.topics[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", stream.ErrNoTopic, name)
	}
	return t, nil
}

// Topic implements stream.Log.
func (l *Log) Topic(_ context.Context, name string) (stream.Topic, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, err := l.find(name)
	if err != nil {
		return stream.Topic{}, err
	}
	return stream.Topic{Name: name, ID: t.id, Partitions: int32(len(t.partitions))}, nil
}

// Bounds implements stream.Log.
func (l *Log) Bounds(_ context.Context, name string, partition int32) (start, end int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, err := l.find(name)
	if err != nil {
		return 0, 0, err
	}
	return t.start[partition], int64(len(t.partitions[partition])), nil
}

// Open implements stream.Log.
func (l *Log) Open(_ context.Context, name string, partition int32, at stream.Place) (stream.Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, err := l.find(name)
	if err != nil {
		return nil, err
	}
	if at.Topic != (click.TopicID{}) && at.Topic != t.id {
		return nil, fmt.Errorf("%s: %w: it is another topic now", name, stream.ErrOutOfRange)
	}
	return &reader{log: l, topic: name, partition: partition, next: at.Offset, epoch: at.Epoch}, nil
}

// Append implements stream.Log.
func (l *Log) Append(ctx context.Context, name string, messages []stream.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.OnAppend != nil {
		if err := l.OnAppend(name, messages); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t, err := l.find(name)
	if err != nil {
		return err
	}
	for _, m := range messages {
		p := m.Partition
		if p == stream.ByKey {
			h := fnv.New32a()
			_, _ = h.Write(m.Key)
			p = int32(h.Sum32() % uint32(len(t.partitions)))
		}
		headers := slices.Clone(m.Headers)
		for i := range headers {
			headers[i].Value = slices.Clone(headers[i].Value)
		}
		t.partitions[p] = append(t.partitions[p], click.Record{
			Offset: int64(len(t.partitions[p])), Append: time.Now().UnixMilli(),
			Key: slices.Clone(m.Key), Value: slices.Clone(m.Value), Headers: click.MakeHeaders(headers),
		})
		t.epochs[p] = append(t.epochs[p], t.leaders[p])
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return nil
}

func positionKey(group, topic string, partition int32) string {
	return fmt.Sprintf("%s/%s/%d", group, topic, partition)
}

// Committed implements stream.Log.
func (l *Log) Committed(_ context.Context, group, topic string, partition int32) (stream.Position, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.positions[positionKey(group, topic, partition)]
	return p, ok, nil
}

// Commit implements stream.Log.
func (l *Log) Commit(ctx context.Context, group, topic string, partition int32, p stream.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.OnCommit != nil {
		if err := l.OnCommit(group, topic, partition, p); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.positions[positionKey(group, topic, partition)] = p
	return nil
}

// Close implements stream.Log.
func (l *Log) Close() error { return nil }

type reader struct {
	log       *Log
	topic     string
	partition int32
	next      int64
	epoch     int32 // of the leader that wrote the record before next
	batch     stream.Batch
}

// Read implements stream.Reader.
func (r *reader) Read(ctx context.Context, wait time.Duration) (*stream.Batch, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		asked := time.Now()
		changed, err := r.take(asked)
		if err != nil || len(r.batch.Records) > 0 {
			return &r.batch, err
		}
		select {
		case <-changed:
		case <-timer.C:
			return &r.batch, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take reads what is there, or returns what tells that something came.
func (r *reader) take(asked time.Time) (<-chan struct{}, error) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	t, err := l.find(r.topic)
	if err != nil {
		return nil, err
	}
	log := t.partitions[r.partition]
	if r.next < t.start[r.partition] || r.next > int64(len(log)) {
		return nil, fmt.Errorf("%s/%d: %w: %d", r.topic, r.partition, stream.ErrOutOfRange, r.next)
	}
	if e := t.before(r.partition, r.next); r.epoch != stream.NoEpoch && e != r.epoch {
		return nil, fmt.Errorf("%s/%d: %w: %d: what was before it was written anew", r.topic, r.partition, stream.ErrOutOfRange, r.next)
	}
	records := slices.Clone(log[r.next:])
	r.next = int64(len(log))
	r.epoch = t.before(r.partition, r.next)
	r.batch = stream.Batch{Records: records, Next: r.next, End: r.next, Epoch: r.epoch, Asked: asked}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed, nil
}

// Close implements stream.Reader.
func (r *reader) Close() error { return nil }
