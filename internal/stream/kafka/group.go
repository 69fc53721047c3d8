package kafka

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"

	"github.com/clickagg/clickagg/internal/stream"
)

// Committed returns a group's position in a partition.
func (l *Log) Committed(ctx context.Context, group, topic string, partition int32) (p stream.Position, ok bool, err error) {
	step := fmt.Sprintf("look up the position of %s in %s/%d", group, topic, partition)
	err = l.retry(ctx, step, func(ctx context.Context) error {
		m, err := l.transport.RoundTrip(ctx, l.addr, &offsetfetch.Request{
			GroupID: group,
			Topics:  []offsetfetch.RequestTopic{{Name: topic, PartitionIndexes: []int32{partition}}},
		})
		if err != nil {
			return err
		}
		r := m.(*offsetfetch.Response)
		if err := asError(r.ErrorCode); errors.Is(err, kafkago.GroupIdNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
			return errAnswer
		}
		q := r.Topics[0].Partitions[0]
		if err := asError(q.ErrorCode); err != nil {
			return l.exists(ctx, err, topic, partition)
		}
		p, ok = stream.Position{Offset: q.CommittedOffset, Metadata: q.Metadata}, q.CommittedOffset >= 0
		return nil
	})
	if !ok {
		p = stream.Position{}
	}
	return p, ok, err
}

// Commit remembers a group's position. The group has no members: who owns a
// partition is not the broker's business here.
func (l *Log) Commit(ctx context.Context, group, topic string, partition int32, p stream.Position) error {
	step := fmt.Sprintf("commit the position of %s in %s/%d", group, topic, partition)
	return l.retry(ctx, step, func(ctx context.Context) error {
		m, err := l.transport.RoundTrip(ctx, l.addr, &offsetcommit.Request{
			GroupID: group, GenerationID: -1, RetentionTimeMs: -1,
			Topics: []offsetcommit.RequestTopic{{Name: topic, Partitions: []offsetcommit.RequestPartition{{
				PartitionIndex: partition, CommittedOffset: p.Offset, CommitTimestamp: -1,
				CommittedLeaderEpoch: -1, CommittedMetadata: p.Metadata,
			}}}},
		})
		if err != nil {
			return err
		}
		r := m.(*offsetcommit.Response)
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
			return errAnswer
		}
		if err := asError(r.Topics[0].Partitions[0].ErrorCode); err != nil {
			return l.exists(ctx, err, topic, partition)
		}
		return nil
	})
}
