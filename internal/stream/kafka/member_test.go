package kafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/stream"

	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/stream/streamtest"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	streamtest.RunGroups(t, func(*testing.T) (func(*testing.T) streamtest.GroupLog, func(*testing.T, int32) string) {
		return func(t *testing.T) streamtest.GroupLog { return openLog(t, b, kafka.Config{}) },
			func(t *testing.T, n int32) string { return makeTopic(t, b, n) }
	})
}

// TestCutOff: who has not heard of the group for longer than a session gives up all,
// before anybody tells it to, and commits no more.
func TestCutOff(t *testing.T) {
	t.Parallel()
	hold, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := hold.Addr().String()
	hold.Close()
	p := newProxy(t, listen)
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: listen, Advertise: p.ln.Addr().String()}, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	topic := makeTopic(t, b, 1)
	l := openLog(t, b, kafka.Config{})
	owned := make(chan int, 10)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		left <- l.Join(ctx, stream.Membership{
			Group: "g", Process: "p", Own: func(now []stream.Partition) { owned <- len(now) },
			Partitions: func(context.Context) ([]stream.Partition, error) { return []stream.Partition{{Topic: topic}}, nil },
		})
	}()
	expect := func(want int) {
		t.Helper()
		select {
		case got := <-owned:
			if got != want {
				t.Fatalf("owns %d, want %d", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("does not own %d", want)
		}
	}
	commit := func(offset int64) error {
		return l.Commit(t.Context(), "g", topic, 0, stream.Position{Offset: offset})
	}
	expect(1)
	if err := commit(1); err != nil {
		t.Error(err)
	}
	p.cut(true)
	if err := commit(2); !errors.Is(err, stream.ErrNotOwner) { // after it was tried for a session
		t.Errorf("committed behind its back: %v", err)
	}
	expect(0)
	p.cut(false)
	expect(1)
	if err := commit(3); err != nil {
		t.Error(err)
	}
	leave()
	if err := <-left; err != nil {
		t.Error(err)
	}
	expect(0)
}

// TestRefused: what the brokers do not take is told with a cure.
func TestRefused(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	topic := makeTopic(t, b, 1)
	l := openLog(t, b, kafka.Config{SessionTimeout: 2 * time.Second})
	err := l.Join(t.Context(), stream.Membership{
		Group: "g", Process: "p", Own: func([]stream.Partition) {},
		Partitions: func(context.Context) ([]stream.Partition, error) { return []stream.Partition{{Topic: topic}}, nil },
	})
	if err == nil || !strings.Contains(err.Error(), "group.min.session.timeout.ms") {
		t.Error(err)
	}
	if _, err := kafka.Open(t.Context(), kafka.Config{Brokers: []string{b.Addr()}, SessionTimeout: time.Millisecond}, quiet(t)); err == nil {
		t.Error("a session of a millisecond is taken")
	}
}
