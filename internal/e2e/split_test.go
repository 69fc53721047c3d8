package e2e

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
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

	s := running(ctx, t, "--input.partitions", "4")
	if stderr, status := s.generate(o.Events, o.Seed); status != 0 {
		t.Fatalf("generate: %s", stderr)
	}
	same(t, "the cluster's export", c.must("export", "counts"), s.export())
}

func (s *server) generate(events int, seed uint64) (stderr string, status int) {
	s.t.Helper()
	_, stderr, status = run(s.t, "generate", "--events", strconv.Itoa(events), "--seed", strconv.FormatUint(seed, 10),
		"--finish", "--wait", "--brokers", s.broker, "--api.url", "http://"+s.api)
	return stderr, status
}
