package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNotify plays systemd to a process: it is ready when it says so, gives signs of
// life, and says that it stops.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "400000")
	ctx := limited(t)
	s := newServer(t)
	s.start()

	// hear returns when a notice comes, with all that came with it.
	hear := func(notice string) []string {
		t.Helper()
		for {
			if err := socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4096)
			n, err := socket.Read(b)
			if err != nil {
				t.Fatalf("no %s: %v", notice, err)
			}
			for line := range strings.SplitSeq(string(b[:n]), "\n") {
				if line == notice {
					return strings.Split(string(b[:n]), "\n")
				}
				if line == "STOPPING=1" {
					t.Fatalf("it stops and has not said %s", notice)
				}
			}
		}
	}
	hear("READY=1")
	if r, err := s.client.Ready(ctx); err != nil || !r.Ready {
		t.Errorf("it said that it is ready, but: %+v, %v", r, err)
	}
	for range 3 {
		hear("WATCHDOG=1")
	}
	ended := make(chan int, 1)
	go func() { ended <- s.stop() }()
	hear("STOPPING=1")
	if status := <-ended; status != 0 {
		t.Errorf("it ended with status %d", status)
	}
}
