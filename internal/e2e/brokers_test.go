package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// TestBrokersKilled: while each of three brokers in turn is killed and started
// again, what was appended is read in order and nothing of it is missing, and
// positions are kept.
func TestBrokersKilled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cluster, err := servers.StartKafka(ctx, servers.KafkaOptions{Brokers: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	}()
	o := look(t, cluster.Addrs(), kgo.MetadataMinAge(100*time.Millisecond))
	const partitions = 3 // one led by each broker
	topic := o.newTopic(partitions, nil)
	l := openLog(t, cluster.Addrs(), kafka.Config{})

	done := make(chan int64) // how many were appended to each partition
	stop := make(chan struct{})
	go func() {
		var n int64
		defer func() { done <- n }()
		for {
			var ms []stream.Message
			for p := range int32(partitions) {
				ms = append(ms, stream.Message{Partition: p, Value: fmt.Append(nil, n)})
			}
			if err := l.Append(ctx, topic, ms); err != nil {
				t.Errorf("append %d: %v", n, err)
				return
			}
			n++
			for p := range int32(partitions) {
				if err := l.Commit(ctx, topic, topic, p, stream.Position{Offset: n}); err != nil {
					t.Errorf("commit %d: %v", n, err)
					return
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range cluster.Addrs() {
		cluster.Kill(i)
		if err := cluster.Start(ctx, i); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	n := <-done
	t.Logf("%d appends while brokers were killed", n)
	for p := range int32(partitions) {
		follow(ctx, t, l, topic, p, n)
		if pos, ok, err := l.Committed(ctx, topic, topic, p); err != nil || !ok || pos.Offset != n {
			t.Errorf("partition %d: position %+v, %t, %v; %d was committed", p, pos, ok, err, n)
		}
	}
}

// follow reads the numbers from 0 to n in a partition. What was appended again
// after a lost acknowledgement may come twice, at once.
func follow(ctx context.Context, t *testing.T, l stream.Log, topic string, partition int32, n int64) {
	t.Helper()
	r, err := l.Open(ctx, topic, partition, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for next := int64(0); next < n; {
		b, err := r.Read(ctx, time.Second)
		if err != nil || len(b.Records) == 0 && b.Next == b.End {
			t.Errorf("partition %d ends before %d of %d: %v", partition, next, n, err)
			return
		}
		for _, rec := range b.Records {
			switch string(rec.Value) {
			case fmt.Sprint(next):
				next++
			case fmt.Sprint(next - 1):
			default:
				t.Fatalf("partition %d: %s follows %d", partition, rec.Value, next-1)
			}
		}
	}
}
