package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// TestRulesChanged: what judges clicks may be changed after an orderly stop, and
// not after a crash, which leaves clicks to be judged again.
func TestRulesChanged(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	clicks, counts := minutes(0, 3, 5)
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")

	s.kill()
	s.args = []string{"--watermark.delay", "20s"}
	s.start()
	if err := <-s.ended; err == nil {
		t.Error("other rules after a crash are taken")
	}
	s.cmd = nil
	log, err := os.ReadFile(s.out.Name())
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(log), `watermark.delay was "15s" and is "20s"`, "start all mappers with the old values")

	s.args = nil
	s.start()
	s.ready(ctx)
	s.caughtUp(ctx)
	if status := s.stop(); status != 0 {
		t.Fatalf("stop: status %d", status)
	}
	s.args = []string{"--watermark.delay", "20s"}
	s.start()
	s.ready(ctx)
	same(t, "export", s.export(), exportHeader+counts)
}

// caughtUp waits until all sources have been read to their ends, and what was read was judged.
func (s *server) caughtUp(ctx context.Context) {
	s.t.Helper()
	s.eventually(ctx, "mappers that have caught up", func() error {
		st, err := s.client.Status(ctx)
		if err != nil {
			return err
		}
		sources := 0
		for _, r := range st.Roles {
			for _, p := range r.Partitions {
				if r.Name == "mapper" && p.Lag == 0 && p.End > 0 && p.Watermark != nil {
					sources++
				}
			}
		}
		if sum := total(st.Accounting); sources < 4 || sum.Received == 0 || sum.Pending != 0 {
			return fmt.Errorf("%d of 4 sources are at their ends: %+v", sources, sum)
		}
		return nil
	})
}
