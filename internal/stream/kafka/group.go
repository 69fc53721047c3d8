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
			return l.denied(err, "Read", onGroup, group)
		}
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
			return errAnswer
		}
		q := r.Topics[0].Partitions[0]
		if err := asError(q.ErrorCode); err != nil {
			return l.exists(ctx, l.deniedOf(err, "Read", topic, group), topic, partition)
		}
		p, ok = stream.Position{Offset: q.CommittedOffset, Epoch: q.ComittedLeaderEpoch, Metadata: q.Metadata}, q.CommittedOffset >= 0
		return nil
	})
	if !ok {
		p = stream.Position{}
	}
	return p, ok, err
}

// Commit remembers a group's position, as a member if this process has joined the
// group; see [Log.Join].
func (l *Log) Commit(ctx context.Context, group, topic string, partition int32, p stream.Position) error {
	step := fmt.Sprintf("commit the position of %s in %s/%d", group, topic, partition)
	as := func(ctx context.Context, s *seat) error {
		m, err := l.transport.RoundTrip(ctx, l.addr, &offsetcommit.Request{
			GroupID: group, GenerationID: s.generation, MemberID: s.id, GroupInstanceID: s.process, RetentionTimeMs: -1,
			Topics: []offsetcommit.RequestTopic{{Name: topic, Partitions: []offsetcommit.RequestPartition{{
				PartitionIndex: partition, CommittedOffset: p.Offset, CommitTimestamp: -1,
				CommittedLeaderEpoch: p.Epoch, CommittedMetadata: p.Metadata,
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
			return l.exists(ctx, l.deniedOf(err, "Read", topic, group), topic, partition)
		}
		return nil
	}
	return l.retry(ctx, step, func(ctx context.Context) error {
		return l.seated(ctx, group, stream.Partition{Topic: topic, Number: partition}, p, as)
	})
}
