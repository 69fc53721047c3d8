package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// TestUncleanElection: a replica that lacks records becomes leader, and others are
// written in their place. Readers at work and readers opened later notice it.
func TestUncleanElection(t *testing.T) {
	t.Parallel()
	k, err := servers.StartKafka(t.Context(), servers.KafkaOptions{Brokers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(k.LogTail())
		}
		_ = k.Close()
	})
	o, l := look(t, k.Addrs()), openLog(t, k.Addrs(), kafka.Config{})
	const topic = "cut"
	o.createOn(topic, []int32{1, 2}, map[string]string{"unclean.leader.election.enable": "true", "min.insync.replicas": "1"})
	o.put(topic, "both 0", "both 1", "both 2")
	o.settle("followed", func(ctx context.Context) error { return o.inSync(ctx, topic, 2) })

	if err := k.Stop(1); err != nil {
		t.Fatal(err)
	}
	o.settle("alone", func(ctx context.Context) error { return o.inSync(ctx, topic, 1) })
	o.put(topic, "lost 3", "lost 4", "lost 5")
	r, err := l.Open(limited(t), topic, 0, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	at := stream.At(0)
	for at.Offset < 6 {
		b, err := r.Read(limited(t), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		at.Offset, at.Epoch = b.Next, b.Epoch
	}
	if at.Epoch < 0 {
		t.Errorf("the reader knows no epoch: %+v", at)
	}

	k.Kill(0)
	if err := k.Start(limited(t), 1); err != nil {
		t.Fatal(err)
	}
	o.settle("led by the other", func(ctx context.Context) error { return o.inSync(ctx, topic, 1) })
	if first := o.put(topic, "new 3", "new 4", "new 5", "new 6", "new 7"); first != 3 {
		t.Fatalf("the new records begin at offset %d", first)
	}
	if b, err := r.Read(limited(t), 30*time.Second); !errors.Is(err, stream.ErrOutOfRange) || !strings.Contains(err.Error(), "other records from offset 3 on") {
		t.Errorf("at work: %+v, %v", b, err)
	}
	openedLater(t, l, topic, at.Epoch)
}

// openedLater opens readers in a log whose first three records are of an epoch, and
// the next five, in the place of others of that epoch, of a later one.
func openedLater(t *testing.T, l *kafka.Log, topic string, epoch int32) {
	for _, c := range []struct {
		what string
		at   stream.Place
		says string
	}{
		{"the end that was read", stream.Place{Offset: 6, Epoch: epoch}, "other records from offset 3 on"},
		{"within what was lost", stream.Place{Offset: 5, Epoch: epoch}, "other records from offset 3 on"},
		{"where the two logs part", stream.Place{Offset: 3, Epoch: epoch}, ""},
		{"before that", stream.Place{Offset: 2, Epoch: epoch}, ""},
		{"of an epoch nobody noted", stream.At(6), ""},
		{"of an epoch the log never had", stream.Place{Offset: 6, Epoch: epoch + 1000}, "knows nothing of leader epoch"},
	} {
		r, err := l.Open(limited(t), topic, 0, c.at)
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.Read(limited(t), 30*time.Second)
		switch {
		case c.says == "" && (err != nil || len(b.Records) != int(8-c.at.Offset)):
			t.Errorf("%s: %+v, %v", c.what, b, err)
		case c.says != "" && (!errors.Is(err, stream.ErrOutOfRange) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %+v, %v, expected %q", c.what, b, err, c.says)
		}
		_ = r.Close()
	}
}

// createOn makes a topic of one partition on certain brokers; the first leads.
func (o *looker) createOn(name string, brokers []int32, configs map[string]string) {
	o.t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	topic.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: brokers}}
	for k, v := range configs {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: &v})
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, topic)
	o.settle("create "+name, func(ctx context.Context) error {
		r, err := request.RequestWith(ctx, o.Client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(r.Topics[0].ErrorCode)
	})
	o.known(name)
}

// inSync asks whether a partition has a leader and so many replicas in sync.
func (o *looker) inSync(ctx context.Context, name string, n int) error {
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	request.Topics = append(request.Topics, topic)
	r, err := request.RequestWith(ctx, o.Client)
	if err != nil {
		return err
	}
	p := r.Topics[0].Partitions[0]
	if p.Leader < 0 || len(p.ISR) != n {
		return fmt.Errorf("leader %d, in sync %v", p.Leader, p.ISR)
	}
	return nil
}

// TestTopicGone: what a reader reads is one incarnation of a topic. When that is
// deleted its reader fails for good, whether or not another one takes its name.
func TestTopicGone(t *testing.T) {
	t.Parallel()
	addrs := kafkaServer(t).Addrs()
	for name, again := range map[string]bool{"deleted": false, "made again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, l := look(t, addrs), openLog(t, addrs, kafka.Config{})
			topic := o.newTopic(1, nil)
			o.put(topic, "a", "b")
			was, err := l.Topic(limited(t), topic)
			if err != nil {
				t.Fatal(err)
			}
			open := func(at stream.Place) (stream.Reader, error) {
				r, err := l.Open(limited(t), topic, 0, at)
				if err == nil {
					t.Cleanup(func() { _ = r.Close() })
				}
				return r, err
			}
			r, err := open(stream.Place{Epoch: stream.NoEpoch, Topic: was.ID})
			if err != nil {
				t.Fatal(err)
			}
			if b, err := r.Read(limited(t), time.Second); err != nil || b.Next != 2 {
				t.Fatalf("%+v, %v", b, err)
			}
			o.remove(topic)
			if again {
				o.create(topic, 1, nil)
				look(t, addrs).put(topic, "other a", "other b", "other c") // o remembers the old one
			}
			for err == nil {
				var b *stream.Batch
				if b, err = r.Read(limited(t), time.Second); b != nil && len(b.Records) > 0 {
					t.Fatalf("it reads %q", b.Records[0].Value)
				}
			}
			if !errors.Is(err, stream.ErrOutOfRange) || errors.Is(err, stream.ErrNoTopic) == again {
				t.Errorf("at work: %v", err)
			}
			_, err = open(stream.Place{Offset: 2, Epoch: stream.NoEpoch, Topic: was.ID})
			if again && !errors.Is(err, stream.ErrOutOfRange) || !again && !errors.Is(err, stream.ErrNoTopic) {
				t.Errorf("opened later: %v", err)
			}
		})
	}
}
