package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/clickagg/clickagg/internal/stream"
)

// TopicSpec is a topic to be made.
type TopicSpec struct {
	Name        string
	Partitions  int32             // at least 1
	Replication int16             // at least 1; 0 is the cluster's default
	Configs     map[string]string // as in Kafka's topic configuration
}

// CreateTopics makes the topics that do not exist. One that exists is left as it
// is, whatever its partitions and configuration. All are known to a broker when it
// returns.
func (l *Log) CreateTopics(ctx context.Context, topics []TopicSpec) error {
	if err := l.create(ctx, topics); err != nil {
		return err
	}
	return l.retry(ctx, "look for the new topics", func(ctx context.Context) error {
		var names []string
		for _, t := range topics {
			names = append(names, t.Name)
		}
		found, err := l.metadata(ctx, names...)
		for _, t := range found {
			if err := asError(t.code); err != nil {
				return fmt.Errorf("%s: %w", t.name, l.denied(err, "Describe", onTopic, t.name))
			}
		}
		return err
	})
}

func (l *Log) create(ctx context.Context, topics []TopicSpec) error {
	left := topics
	return l.retry(ctx, "create topics", func(ctx context.Context) error {
		request := &kafkago.CreateTopicsRequest{}
		for _, t := range left {
			c := kafkago.TopicConfig{Topic: t.Name, NumPartitions: int(t.Partitions), ReplicationFactor: int(t.Replication)}
			if c.ReplicationFactor == 0 {
				c.ReplicationFactor = -1
			}
			for k, v := range t.Configs {
				c.ConfigEntries = append(c.ConfigEntries, kafkago.ConfigEntry{ConfigName: k, ConfigValue: v})
			}
			request.Topics = append(request.Topics, c)
		}
		if len(request.Topics) == 0 {
			return nil
		}
		r, err := l.client.CreateTopics(ctx, request)
		if err != nil {
			return err
		}
		var again []TopicSpec
		var passing, lasting error
		for _, t := range left {
			switch err := r.Errors[t.Name]; {
			case err == nil, errors.Is(err, kafkago.TopicAlreadyExists):
			case transient(err):
				again, passing = append(again, t), fmt.Errorf("%s: %w", t.Name, err)
			default:
				lasting = errors.Join(lasting, fmt.Errorf("%s: %w", t.Name, l.denied(err, "Create", onTopic, t.Name)))
			}
		}
		left = again
		if lasting != nil {
			return lasting
		}
		return passing
	})
}

// DeleteRecords gives up the records of a partition before an offset, so that
// the broker can free their space. Records given up before are no error.
func (l *Log) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	step := fmt.Sprintf("delete records of %s/%d before %d", topic, partition, before)
	return l.retry(ctx, step, func(ctx context.Context) error {
		e := begin(nil, protocol.DeleteRecords, 1, l.cfg.ClientID, false)
		e.i32(1)
		e.str(topic)
		e.i32(1)
		e.i32(partition)
		e.i64(before)
		e.i32(int32((l.cfg.RequestTimeout / 2) / time.Millisecond))
		answer, err := l.call(ctx, &routed{exchange{
			api: protocol.DeleteRecords, request: e.end(), maxSize: smallAnswer, leader: leaderOf(topic, partition),
		}})
		if unrouted(err) {
			return l.exists(ctx, err, topic, partition)
		}
		if err != nil {
			return err
		}
		d := decoding{b: answer}
		d.i32() // throttle
		code := int16(kafkago.Unknown)
		for range d.count() {
			d.str()
			for range d.count() {
				d.take(4 + 8) // partition, first offset kept
				code = d.i16()
			}
		}
		if err := errors.Join(d.err(), asError(code)); err != nil {
			return l.undeleted(ctx, err, topic, partition, before)
		}
		return nil
	})
}

// undeleted looks at why records were not deleted.
func (l *Log) undeleted(ctx context.Context, cause error, topic string, partition int32, before int64) error {
	if !errors.Is(cause, kafkago.OffsetOutOfRange) {
		return l.exists(ctx, l.denied(cause, "Delete", onTopic, topic), topic, partition)
	}
	start, end, err := l.Bounds(ctx, topic, partition)
	if err != nil {
		return err
	}
	if before <= start {
		return nil
	}
	return fmt.Errorf("%w: the log ends at %d", stream.ErrOutOfRange, end)
}
