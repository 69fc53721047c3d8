package streamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// golden are hashes of Kafka's partitioner, as its clients in other languages
// test them.
var golden = map[string]uint32{
	"kafka": 0xd067cf64, "giberish123456789": 0x8f552b0c, "1234": 0x9fc97b14, "234": 0xe7c009ca, "34": 0x873930da,
	"4": 0x5a4b5ca1, "PreAmbleWillBeRemoved,ThePrePartThatIs": 0x78424f1c,
	"reAmbleWillBeRemoved,ThePrePartThatIs": 0x4a62b377, "": 0x106e08d9,
}

func byKey(t *testing.T, s *suite) {
	const partitions = 7
	topic := s.newTopic(t, partitions)
	want := make(map[int32]int)
	for key, hash := range golden {
		s.append(t, topic, stream.Message{Partition: stream.ByKey, Key: []byte(key), Value: []byte(key)})
		want[int32(hash&0x7fffffff)%partitions]++
	}
	for p, n := range want {
		for _, r := range read(t, s.open(t, topic, p, 0), 0, n) {
			if got := int32(golden[string(r.Key)]&0x7fffffff) % partitions; got != p {
				t.Errorf("key %q lies in partition %d, not %d", r.Key, p, got)
			}
		}
	}
}

func concurrent(t *testing.T, s *suite) {
	const writers, appends, each = 8, 20, 25
	topic := s.newTopic(t, 3)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for a := range appends {
				var ms []stream.Message
				for i := range each {
					for p := range int32(3) {
						ms = append(ms, stream.Message{Partition: p, Key: fmt.Append(nil, w), Value: fmt.Append(nil, a*each+i)})
					}
				}
				if err := s.log.Append(within(t), topic, ms); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	all.Wait()
	for p := range int32(3) {
		next := make(map[string]int)
		for _, r := range read(t, s.open(t, topic, p, 0), 0, writers*appends*each) {
			if want := fmt.Sprint(next[string(r.Key)]); string(r.Value) != want {
				t.Fatalf("partition %d: writer %s has %s, expected %s", p, r.Key, r.Value, want)
			}
			next[string(r.Key)]++
		}
	}
}

func large(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	big := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 300<<10) }
	var ms []stream.Message
	const n = 12 // together several batches, and more than one response
	for i := range n {
		ms = append(ms, stream.Message{Value: big(i)})
	}
	s.append(t, topic, ms...)
	for i, r := range read(t, s.open(t, topic, 0, 0), 0, n) {
		if !bytes.Equal(r.Value, big(i)) {
			t.Fatalf("message %d of 300 KiB came back as %d bytes", i, len(r.Value))
		}
	}
	err := s.log.Append(within(t), topic, []stream.Message{{Value: bytes.Repeat([]byte("x"), 80<<20)}})
	if !errors.Is(err, stream.ErrTooLarge) {
		t.Errorf("a message of 80 MiB gives %v", err)
	}
	if _, end, err := s.log.Bounds(within(t), topic, 0); err != nil || end != n {
		t.Errorf("then the log ends at %d, %v", end, err)
	}
}

func positions(t *testing.T, s *suite) {
	topic, ctx := s.newTopic(t, 2), within(t)
	group := topic + ".group"
	if p, ok, err := s.log.Committed(ctx, group, topic, 0); ok || err != nil || p != (stream.Position{}) {
		t.Fatalf("a new group is at %+v, %t, %v", p, ok, err)
	}
	for i, p := range []stream.Position{
		{Offset: 5, Metadata: "five"}, {Offset: 9, Metadata: strings.Repeat("m", 4000)}, {Offset: 2}, {Offset: 0, Metadata: "\x01ü"},
	} {
		if err := s.log.Commit(ctx, group, topic, 1, p); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
		if got, ok, err := s.log.Committed(ctx, group, topic, 1); !ok || err != nil || got != p {
			t.Fatalf("commit %d: got %+v, %t, %v", i, got, ok, err)
		}
	}
	if p, ok, err := s.log.Committed(ctx, group, topic, 0); ok || err != nil {
		t.Errorf("the other partition is at %+v, %v", p, err)
	}
	if p, ok, err := s.log.Committed(ctx, group+"2", topic, 1); ok || err != nil {
		t.Errorf("another group is at %+v, %v", p, err)
	}
}

func cancelled(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	r := s.open(t, topic, 0, 0)
	if _, err := r.Read(within(t), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	s.append(t, topic, numbered(0, 0, 1)...) // from here on the way to the topic is known
	read(t, r, 0, 1)
	cause := errors.New("the test's own")
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := make(chan error)
	go func() {
		_, err := r.Read(ctx, time.Hour)
		stopped <- err
	}()
	cancel(cause)
	select {
	case err := <-stopped:
		if err == nil {
			t.Error("a cancelled read returns no error")
		}
	case <-time.After(patience):
		t.Fatal("a cancelled read does not return")
	}
	for what, f := range map[string]func() error{
		"append": func() error { return s.log.Append(ctx, topic, numbered(0, 0, 1)) },
		"commit": func() error { return s.log.Commit(ctx, topic, topic, 0, stream.Position{}) },
		"topic":  func() error { _, err := s.log.Topic(ctx, topic); return err },
	} {
		for range 100 { // a client that sends by chance does not pass by chance
			if err := f(); err == nil {
				t.Fatalf("%s with a cancelled context succeeds", what)
			}
		}
	}
	// The reader was not harmed, and nothing is in the log that was not to be sent.
	s.append(t, topic, numbered(0, 1, 3)...)
	if n := len(read(t, r, 1, 2)); n != 2 {
		t.Errorf("read %d after a cancelled read", n)
	}
}

func closed(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	s.append(t, topic, numbered(0, 0, 3)...)
	r := s.open(t, topic, 0, 0)
	read(t, r, 0, 3)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("the second close: %v", err)
	}
	if _, err := r.Read(within(t), time.Hour); err == nil {
		t.Error("a closed reader reads")
	}
}

func anew(t *testing.T, s *suite) {
	if s.remake == nil {
		t.Skip("this log cannot make a topic anew")
	}
	topic, ctx := s.newTopic(t, 3), within(t)
	before, err := s.log.Topic(ctx, topic)
	if err != nil || before.Name != topic || before.Partitions != 3 || before.ID == (click.TopicID{}) {
		t.Fatalf("topic is %+v, %v", before, err)
	}
	if again, err := s.log.Topic(ctx, topic); err != nil || again != before {
		t.Fatalf("topic is %+v, then %+v, %v", before, again, err)
	}
	s.append(t, topic, numbered(0, 0, 5)...)
	r := s.open(t, topic, 0, 0)
	read(t, r, 0, 5)

	s.remake(t, topic)
	after, err := s.log.Topic(ctx, topic)
	if err != nil || after.ID == before.ID {
		t.Fatalf("topic made anew is %+v, %v; it was %+v", after, err, before)
	}
	// The old reader must not go on in the new topic, however far that has grown.
	s.append(t, topic, numbered(0, 0, 20)...)
	for {
		b, err := r.Read(ctx, time.Second)
		if errors.Is(err, stream.ErrOutOfRange) || errors.Is(err, stream.ErrNoTopic) {
			break
		}
		if err != nil || len(b.Records) > 0 {
			t.Fatalf("a reader of the topic that was gives %+v, %v", b, err)
		}
	}
	if r, err := s.log.Open(ctx, topic, 0, stream.Place{Offset: 5, Epoch: stream.NoEpoch, Topic: before.ID}); !errors.Is(err, stream.ErrOutOfRange) {
		t.Errorf("a place in the topic that was: %v, %v", r, err)
	}
	if got := read(t, s.open(t, topic, 0, 0), 0, 20); string(got[0].Value) != "value 0" {
		t.Errorf("the new topic begins with %q", got[0].Value)
	}
}
