package kafka

import (
	"context"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/clickagg/clickagg/internal/click"
)

// topicMetadata is what a broker says of a topic.
type topicMetadata struct {
	name       string
	code       int16
	id         click.TopicID
	partitions int32
	replicas   int // of the partition that has the fewest
}

// metadata asks any broker for topics; for none when no name is given. kafka-go's
// own request has no topic id, and is answered from a cache.
func (l *Log) metadata(ctx context.Context, names ...string) ([]topicMetadata, error) {
	return l.askMetadata(ctx, func(e *encoding) {
		e.size(len(names))
		for _, name := range names {
			e.i64(0)
			e.i64(0) // no topic id: by name
			e.compact(name)
			e.tags()
		}
	})
}

// allMetadata asks any broker for every topic this user may see.
func (l *Log) allMetadata(ctx context.Context) ([]topicMetadata, error) {
	return l.askMetadata(ctx, func(e *encoding) { e.size(-1) })
}

func (l *Log) askMetadata(ctx context.Context, topics func(*encoding)) ([]topicMetadata, error) {
	e := begin(nil, protocol.Metadata, 10, l.cfg.ClientID, true)
	topics(&e)
	e.b = append(e.b, 0, 0, 0) // create nothing, no authorized operations
	e.tags()
	answer, err := l.call(ctx, &exchange{api: protocol.Metadata, request: e.end(), maxSize: smallAnswer})
	if err != nil {
		return nil, err
	}
	return parseMetadata(answer)
}

func parseMetadata(answer []byte) (topics []topicMetadata, err error) {
	d := decoding{b: answer}
	d.tags()
	d.i32() // throttle
	for range d.size() {
		d.i32()
		d.compact()
		d.i32()
		d.compact() // rack
		d.tags()
	}
	d.compact() // cluster id
	d.i32()
	for range d.size() {
		t := topicMetadata{code: d.i16(), name: d.compact()}
		copy(t.id[:], d.take(int64(len(t.id))))
		d.i8() // internal
		for range d.size() {
			d.take(2 + 4 + 4 + 4) // error, index, leader, epoch
			replicas := d.size()
			d.take(4 * replicas)
			for range 2 { // in sync, offline
				d.take(4 * d.size())
			}
			d.tags()
			if t.partitions == 0 || int(replicas) < t.replicas {
				t.replicas = int(replicas)
			}
			t.partitions++
		}
		d.i32()
		d.tags()
		topics = append(topics, t)
	}
	return topics, d.err()
}
