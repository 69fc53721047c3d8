package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// quick makes a cluster say what it knows ten times a second, so that a gap shows.
const quick = "aggregator:\n  tick: 100ms\n  snapshot_interval: 2s\nmapper:\n  heartbeat: 100ms\n"

// flow is a stream of clicks that is sent while a test does something to a cluster.
type flow struct {
	c      *cluster
	log    *kafka.Log
	truth  *gen.Truth
	report load.Report
	err    error
	done   chan struct{}
}

func (c *cluster) flow(ctx context.Context, events int, rate float64) *flow {
	c.t.Helper()
	f := &flow{c: c, log: c.dial(ctx), done: make(chan struct{})}
	o := gen.Defaults()
	o.Events, o.Seed, o.Ads = events, 5, 500
	go func() {
		defer close(f.done)
		f.report, f.truth, f.err = load.Generate(ctx, f.log, load.GenerateOptions{
			Gen: o, Topic: c.input(), Finish: true, Batch: int(max(10, rate/50)), Rate: rate,
		})
	}()
	return f
}

// flows tells whether clicks are still being sent.
func (f *flow) flows() bool {
	select {
	case <-f.done:
		return false
	default:
		return true
	}
}

// end waits until all is sent and final, holds it against the truth, and returns
// the longest time in which no partial or result of a topic was written between
// the first and the last click.
func (f *flow) end(ctx context.Context, topic string, from, to time.Time) time.Duration {
	t := f.c.t
	t.Helper()
	select {
	case <-f.done:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	if f.err != nil {
		t.Fatalf("load: %v", f.err)
	}
	f.c.complete(ctx, f.report.Watermark)
	f.c.isTruth(ctx, f.truth)
	return f.silence(ctx, topic, from, to)
}

// silence is the longest time without a record of a topic, over its partitions, by
// the broker's clock.
func (f *flow) silence(ctx context.Context, topic string, from, to time.Time) (longest time.Duration) {
	t := f.c.t
	t.Helper()
	info, err := f.log.Topic(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for p := range info.Partitions {
		_, end, err := f.log.Bounds(ctx, topic, p)
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.log.Open(ctx, topic, p, stream.At(0))
		if err != nil {
			t.Fatal(err)
		}
		last := from
		for next := int64(0); next < end; {
			b, err := r.Read(ctx, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.Records {
				at := time.UnixMilli(b.Records[i].Append)
				if at.After(from) && at.Before(to) {
					longest = max(longest, at.Sub(last))
					last = at
				}
			}
			next = b.Next
		}
		longest = max(longest, to.Sub(last))
		_ = r.Close()
	}
	return longest
}

// With a second set of aggregators, killing either set is not noticed: the other
// one says the same.
func TestStandby(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), quick)
	first := c.add("aggregator")
	second := c.add("aggregator", "--aggregator.standby-group", "b")
	for _, role := range []string{"mapper", "reducer", "writer", "api"} {
		c.add(role)
	}
	c.ready(ctx)
	f := c.flow(ctx, 30_000, 1_000)
	c.works(ctx)
	from := time.Now()
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	pause(2 * time.Second)
	first.kill()
	pause(4 * time.Second)
	first.start()
	pause(4 * time.Second)
	second.kill()
	pause(4 * time.Second)
	to := time.Now()
	second.start()
	if !f.flows() {
		t.Fatal("all clicks were sent before the sets were killed")
	}
	gap := f.end(ctx, c.name+".partials", from, to)
	t.Logf("longest time without a partial: %s", gap)
	if gap > 3*time.Second { // well below the session's 6 s, after which others would take over
		t.Errorf("for %s nobody spoke for the shards", gap)
	}
}

// works waits until counts have reached the store.
func (c *cluster) works(ctx context.Context) {
	c.t.Helper()
	c.eventually(ctx, "the first counts", func() error {
		if text := c.must("export", "counts"); strings.Count(text, "\n") < 2 {
			return os.ErrNotExist
		}
		return nil
	})
}

// Every process is stopped in order and started again, one after the other, as an
// upgrade does, while clicks come in: nothing stands still, and nothing is lost.
func TestRollingUpgrade(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), quick)
	var members []*member
	for range 2 {
		for _, role := range roles[:4] {
			members = append(members, c.add(role))
		}
	}
	c.add("api")
	c.ready(ctx)
	f := c.flow(ctx, 60_000, 1_000)
	c.works(ctx)
	from := time.Now()
	for _, m := range members {
		if status := m.stop(ctx); status != 0 {
			t.Fatalf("%s ended with status %d", m.name, status)
		}
		m.start()
		m.working(ctx)
	}
	to := time.Now()
	if !f.flows() {
		t.Fatal("all clicks were sent before everything was upgraded")
	}
	gap := f.end(ctx, c.name+".results", from, to)
	t.Logf("%d processes restarted in %s; longest time without a result: %s", len(members), to.Sub(from).Round(time.Millisecond), gap)
	if gap > 5*time.Second { // below the session's 6 s: it was handed over, not found missing
		t.Errorf("for %s there was no result", gap)
	}
}

// working waits until the process, since its last start, was told its partitions.
func (m *member) working(ctx context.Context) {
	m.c.t.Helper()
	m.c.eventually(ctx, m.name+" at work", func() error {
		if !strings.Contains(m.log()[m.since:], "partitions have moved") {
			return os.ErrNotExist
		}
		return nil
	})
}

// A data directory that was used with one installation is refused by another: a
// foreign cluster behind the same address does not go unseen.
func TestForeignCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	one := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "")
	m := one.add("mapper")
	m.working(ctx)
	if status := m.stop(ctx); status != 0 {
		t.Fatalf("status %d", status)
	}
	other := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "")
	stranger := other.add("mapper", "--data-dir", filepath.Join(one.dir, m.name))
	if status := stranger.wait(ctx); status != 4 {
		t.Errorf("status %d, not 4", status)
	}
	contains(t, stranger.log(), "installation")
}
