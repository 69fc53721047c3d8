package kafka_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

func TestDescribeTopics(t *testing.T) {
	t.Parallel()
	l := openLog(t, startBroker(t, embedded.Config{}), kafka.Config{})
	specs := []kafka.TopicSpec{
		{Name: "b", Partitions: 3, Replication: 1, Configs: map[string]string{"retention.ms": "5000", "message.timestamp.type": "LogAppendTime"}},
		{Name: "a", Partitions: 1, Replication: 1},
	}
	if err := l.CreateTopics(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	if err := l.CreateTopics(t.Context(), append(specs, kafka.TopicSpec{Name: "c", Partitions: 2})); err != nil {
		t.Fatalf("two are there: %v", err)
	}
	all, err := l.TopicNames(t.Context())
	if want := []string{"a", "b", "c"}; err != nil || !slices.Equal(all, want) {
		t.Errorf("%v, %v, expected %v", all, err, want)
	}
	found, err := l.DescribeTopics(t.Context(), []string{"c", "absent", "b"})
	if err != nil || len(found) != 2 || found[0].Name != "c" || found[1].Name != "b" {
		t.Fatalf("%+v, %v", found, err)
	}
	b := found[1]
	if b.Partitions != 3 || b.Replication != 1 || b.ID == (click.TopicID{}) {
		t.Errorf("%+v", b)
	}
	want := map[string]string{"retention.ms": "5000", "message.timestamp.type": "LogAppendTime", "min.insync.replicas": "1", "cleanup.policy": "delete"}
	got := maps.Clone(b.Configs)
	maps.DeleteFunc(got, func(k, _ string) bool { return want[k] == "" })
	if !maps.Equal(got, want) {
		t.Errorf("%v, expected %v with defaults", b.Configs, want)
	}
	if found, err := l.DescribeTopics(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("of no topic: %v, %v", found, err)
	}
}

// TestIncarnation: a place names the topic it lies in, not only its name.
func TestIncarnation(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	l := openLog(t, b, kafka.Config{})
	topic := makeTopic(t, b, 1)
	was, err := l.Topic(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	at := stream.Place{Epoch: stream.NoEpoch, Topic: was.ID}
	r, err := l.Open(t.Context(), topic, 0, at)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := b.DeleteTopic(topic); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(t.Context(), time.Minute); !errors.Is(err, stream.ErrNoTopic) || !errors.Is(err, stream.ErrOutOfRange) {
		t.Errorf("deleted while it is read: %v", err)
	}
	if err := b.CreateTopic(embedded.Topic{Name: topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(t.Context(), topic, 0, at); !errors.Is(err, stream.ErrOutOfRange) {
		t.Errorf("made again before it is opened: %v", err)
	}
}

func TestSASLConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []kafka.SASL{
		{Mechanism: "gssapi", User: "u", Password: "p"}, {Mechanism: "plain"}, {Mechanism: "scram-sha-512", User: "u\x00", Password: "p"},
	} {
		if l, err := kafka.Open(t.Context(), kafka.Config{Brokers: []string{"127.0.0.1:1"}, SASL: c}, quiet(t)); err == nil {
			t.Errorf("%+v is taken", c)
			_ = l.Close()
		}
	}
}
