package ops

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// condition is a process's health as a test sets it.
type condition struct {
	mu      sync.Mutex
	alive   error
	unready []api.Unready
}

func (c *condition) set(alive error, unready ...api.Unready) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive, c.unready = alive, unready
}

func (c *condition) health() Health {
	return Health{
		Alive:   func() error { c.mu.Lock(); defer c.mu.Unlock(); return c.alive },
		Unready: func() []api.Unready { c.mu.Lock(); defer c.mu.Unlock(); return c.unready },
	}
}

// TestNotices is the life of a process as systemd hears it.
func TestNotices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c condition
		c.set(nil, api.Unready{Part: "mapper", Reason: "0 of 4 partitions\nare at work"}, api.Unready{Part: "reducer", Reason: "away"})
		var heard []string
		begin := time.Now()
		n := notifier{health: c.health(), sign: 10 * time.Second, log: zap.NewNop(), send: func(news string) {
			heard = append(heard, time.Since(begin).String()+" "+strings.ReplaceAll(news, "\n", " | "))
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { n.run(ctx); close(done) }()
		at := func(d time.Duration) { time.Sleep(d - time.Since(begin)); synctest.Wait() }
		at(1500 * time.Millisecond)
		c.set(nil)
		at(24500 * time.Millisecond)
		c.set(nil, api.Unready{Part: "writer", Reason: "the store is away"}) // no reason to restart
		at(34500 * time.Millisecond)
		c.set(errors.New("aggregator 3 stands still"))
		at(59500 * time.Millisecond)
		c.set(nil)
		at(65 * time.Second)
		cancel()
		<-done
		want := []string{
			"0s EXTEND_TIMEOUT_USEC=30000000 | STATUS=not ready: mapper: 0 of 4 partitions are at work; reducer: away",
			"1s EXTEND_TIMEOUT_USEC=30000000",
			"2s READY=1 | WATCHDOG=1 | STATUS=every part works",
			"12s WATCHDOG=1",
			"22s WATCHDOG=1",
			"25s STATUS=not ready: writer: the store is away",
			"32s WATCHDOG=1",
			"35s STATUS=no progress: aggregator 3 stands still",
			"1m0s WATCHDOG=1 | STATUS=every part works",
			"1m5s STOPPING=1 | STATUS=stopping",
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard:\n%s\nwant:\n%s", strings.Join(heard, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestNotifySpeaksToTheSocket plays systemd.
func TestNotifySpeaksToTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var c condition
	ended := make(chan error, 1)
	go func() { ended <- Notify(ctx, c.health(), zap.NewNop()) }()
	hear := func() string {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		k, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:k])
	}
	if got := hear(); got != "READY=1\nWATCHDOG=1\nSTATUS=every part works" {
		t.Errorf("first: %q", got)
	}
	for range 2 {
		if got := hear(); got != "WATCHDOG=1" {
			t.Errorf("then: %q", got)
		}
	}
	cancel()
	for got := hear(); ; got = hear() {
		if got == "STOPPING=1\nSTATUS=stopping" {
			break
		}
		if got != "WATCHDOG=1" {
			t.Fatalf("last: %q", got)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNotifyWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Notify(ctx, Health{}, zap.NewNop()); err != nil {
		t.Error(err)
	}
}
