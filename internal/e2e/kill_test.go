package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
)

// TestKill loads 500,000 clicks while the process is killed by SIGKILL again and
// again, at any moment, also while it starts; then every count is the truth.
func TestKill(t *testing.T) {
	const events, kills = 500_000, 32
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	s := newServer(t, "--aggregator.snapshot-interval", "2s", "--log.level", "warn")
	s.start()
	s.ready(ctx)
	log := s.dial(ctx)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed of the kills: %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))

	type loaded struct {
		report load.Report
		truth  *gen.Truth
		err    error
	}
	done := make(chan loaded, 1)
	go func() {
		o := gen.Defaults()
		o.Events, o.Seed = events, 7
		r, truth, err := load.Generate(ctx, log, load.GenerateOptions{
			Gen: o, Topic: "clicks", Finish: true, Batch: 2000, Rate: events / 45,
		})
		done <- loaded{r, truth, err}
	}()

	killed := 0
	var l loaded
	for loading := true; loading || killed < kills; {
		select {
		case l = <-done:
			loading = false
		// Between 0.1 s, before it is ready, and 2.5 s, after some snapshots.
		case <-time.After(100*time.Millisecond + time.Duration(chance.IntN(2400))*time.Millisecond):
			s.kill()
			killed++
			s.start()
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	if l.err != nil {
		t.Fatalf("load: %v", l.err)
	}
	t.Logf("killed %d times", killed)
	s.ready(ctx)
	s.completeUntil(ctx, l.report.Watermark)
	s.isTruth(ctx, l.truth)
}

// isTruth compares the export with the truth, line by line.
func (s *server) isTruth(ctx context.Context, truth *gen.Truth) {
	s.t.Helper()
	stdout, stderr, status := s.command("export", "counts")
	if status != 0 {
		s.t.Fatalf("export: status %d: %s", status, stderr)
	}
	got, err := gen.ReadCSV(strings.NewReader(stdout))
	if err != nil {
		s.t.Fatal(err)
	}
	if r := gen.Compare(&truth.Counts, got); !r.Equal() {
		s.t.Fatal(r.String())
	}
	// The parts show their accounts a few times a second: a little after the counts.
	s.eventually(ctx, "accounts", func() error {
		st, err := s.client.Status(ctx)
		if err != nil {
			return err
		}
		var counted int64
		for _, a := range st.Accounting {
			counted += a.Counted
			if !a.Holds {
				s.t.Fatalf("the account of %s does not hold: %+v", a.Source, a)
			}
		}
		if counted != truth.Clicks {
			return fmt.Errorf("counted %d clicks, the truth is %d", counted, truth.Clicks)
		}
		return nil
	})
}
