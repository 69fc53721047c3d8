package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/progress"
)

// send sends a stream whose right answer is known, and finishes it.
func (c *cluster) send(ctx context.Context, o gen.Options, rate float64) (load.Report, *gen.Truth) {
	c.t.Helper()
	r, truth, err := load.Generate(ctx, c.dial(ctx), load.GenerateOptions{
		Gen: o, Topic: c.input(), Finish: true, Batch: 2000, Rate: rate,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return r, truth
}

// Every role twice in processes of its own, on a real Kafka and a real Cassandra,
// count what one process with its own broker and store counts.
func TestSplitRoles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "")
	for range 2 {
		for _, role := range roles[:4] {
			c.add(role)
		}
	}
	c.add("api")
	c.ready(ctx)
	o := gen.Defaults()
	o.Events, o.Seed = 200_000, 11
	report, truth := c.send(ctx, o, 0)
	c.complete(ctx, report.Watermark)
	c.isTruth(ctx, truth)
	c.isTraced(ctx, truth, 4, 4)
	c.isProven(truth)

	s := running(ctx, t, "--input.partitions", "4")
	if stderr, status := s.generate(o.Events, o.Seed); status != 0 {
		t.Fatalf("generate: %s", stderr)
	}
	same(t, "the cluster's export", c.must("export", "counts"), s.export())
}

// isTraced tells whether the lineage of every minute names every shard and source,
// and whether their accounts add up.
func (c *cluster) isTraced(ctx context.Context, truth *gen.Truth, shards, sources int) {
	c.t.Helper()
	minutes := truth.Counts.Minutes()
	for i, start := range minutes {
		minute := time.UnixMilli(start).UTC().Format(time.RFC3339)
		c.eventually(ctx, "lineage of "+minute, func() error {
			l, err := c.client.Lineage(ctx, minute)
			if err != nil {
				return err
			}
			var settled int64
			for _, o := range l.Sources {
				settled += o.Settled
				if o.Settled > o.Heard || !o.Holds {
					c.t.Fatalf("%s: %+v", minute, o)
				}
			}
			if l.StartTime.UnixMilli() != start || len(l.Shards) != shards || len(l.Sources) != sources || !l.Holds || settled == 0 && i > len(minutes)/2 {
				c.t.Fatalf("%s: %+v", minute, l)
			}
			for _, s := range l.Shards {
				if s.Position == 0 {
					c.t.Fatalf("%s: shard %d: nothing of it is in", minute, s.Shard)
				}
			}
			return nil
		})
	}
	last := time.UnixMilli(minutes[len(minutes)-1]).UTC().Format(time.RFC3339)
	if text := c.must("query", "lineage", "--minute", last); !strings.Contains(text, "✓ "+c.input()+"/0: received ") {
		c.t.Fatal(text)
	}
}

// isProven tells whether an audit of all minutes finds nothing, and names all clicks.
func (c *cluster) isProven(truth *gen.Truth) {
	c.t.Helper()
	isProven(c.t, "http://"+c.api, truth)
}

func isProven(t testing.TB, url string, truth *gen.Truth) {
	t.Helper()
	minutes := truth.Counts.Minutes()
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
	text, stderr, status := run(t, "audit", "--api.url", url, "--from", at(minutes[0]), "--to", at(minutes[len(minutes)-1]+60_000))
	head := fmt.Sprintf("%d minutes with a click, %s clicks counted, ", len(minutes), progress.Group(truth.Counts.Total()))
	if status != 0 || !strings.Contains(text, head) || !strings.Contains(text, "✓ every record of every source has one verdict") {
		t.Errorf("status %d, want %s..., got\n%s%s", status, head, text, stderr)
	}
}

func (s *server) generate(events int, seed uint64) (stderr string, status int) {
	s.t.Helper()
	_, stderr, status = run(s.t, "generate", "--events", strconv.Itoa(events), "--seed", strconv.FormatUint(seed, 10),
		"--finish", "--wait", "--brokers", s.broker, "--api.url", "http://"+s.api)
	return stderr, status
}
