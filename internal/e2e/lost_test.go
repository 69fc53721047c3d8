package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestStoreLost: a store that is taken away is filled again from the results.
func TestStoreLost(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	clicks, counts := minutes(0, 3, 5)
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")
	if status := s.stop(); status != 0 {
		t.Fatalf("stop: status %d", status)
	}
	if err := os.RemoveAll(filepath.Join(s.data(), "store")); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.ready(ctx)
	s.eventually(ctx, "filled again", func() error {
		if got := s.export(); got != exportHeader+counts {
			return fmt.Errorf("the export is %q", got)
		}
		return nil
	})
}

// TestBrokerLost: a store without the broker's directory it belongs to would
// take every new result for an old one. It is refused.
func TestBrokerLost(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	clicks, _ := minutes(0, 1, 3)
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")
	if status := s.stop(); status != 0 {
		t.Fatalf("stop: status %d", status)
	}
	if err := os.RemoveAll(filepath.Join(s.data(), "broker")); err != nil {
		t.Fatal(err)
	}
	s.start()
	if err := <-s.ended; err == nil {
		t.Error("it starts without the broker's directory")
	}
	s.cmd = nil
	log, err := os.ReadFile(s.out.Name())
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(log), "another installation")
}
