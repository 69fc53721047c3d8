package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// Sizes of the chaos test; CHAOS_EVENTS and CHAOS_FAULTS set others.
const (
	chaosEvents = 300_000
	chaosFaults = 14
)

// TestChaos runs every role twice on three brokers and Cassandra, with a standby
// set of aggregators, and sends clicks while processes are killed and stopped at
// random, brokers die, Cassandra is away and the snapshots are thrown away. Some ads are
// hot and counted by several shards. Then
// every count is the truth, the accounts hold, and no final count ever changed
// without a higher revision.
func TestChaos(t *testing.T) {
	events, faults := fromEnv(t, "CHAOS_EVENTS", chaosEvents), fromEnv(t, "CHAOS_FAULTS", chaosFaults)
	seed := uint64(fromEnv(t, "CHAOS_SEED", int(time.Now().UnixNano()%1_000_000_000)))
	t.Logf("replay the faults with CHAOS_SEED=%d", seed)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute+time.Duration(faults)*30*time.Second)
	defer cancel()
	brokers, err := servers.StartKafka(ctx, servers.KafkaOptions{Brokers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = brokers.Close() })
	db, err := servers.StartCassandra(ctx, servers.CassandraOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })

	c := newCluster(t, brokers.Addrs(), db.Addr(), "hot:\n  threshold: 500\naggregator:\n  snapshot_interval: 3s\nlog:\n  level: warn\n")
	x := &chaos{t: t, c: c, brokers: brokers, db: db, chance: rand.New(rand.NewPCG(seed, 0)), away: 15 * time.Second}
	if faults >= 40 {
		x.away = time.Minute
	}
	for range 2 {
		for _, role := range []string{"mapper", "aggregator", "reducer", "writer"} {
			x.targets = append(x.targets, c.add(role))
		}
	}
	x.targets = append(x.targets, c.add("aggregator", "--aggregator.standby-group", "b"))
	c.add("api")
	c.ready(ctx)

	log := c.dial(ctx)
	type loaded struct {
		report load.Report
		truth  *gen.Truth
		err    error
	}
	done := make(chan loaded, 1)
	rate := max(2_000, events/(faults*4))
	go func() {
		o := gen.Defaults()
		o.Events, o.Seed, o.Ads = events, seed, 5_000
		o.Span = 20 * time.Minute // time enough for hot ads to be spread
		r, truth, err := load.Generate(ctx, log, load.GenerateOptions{
			Gen: o, Topic: c.input(), Finish: true, Batch: 1000, Rate: float64(rate),
		})
		done <- loaded{r, truth, err}
	}()
	for n := range faults {
		x.strike(ctx, n)
	}
	x.heal(ctx)
	var l loaded
	select {
	case l = <-done:
	case <-ctx.Done():
		t.Fatal("the clicks are not sent yet: ", ctx.Err())
	}
	if l.err != nil {
		t.Fatalf("load: %v", l.err)
	}
	healed := time.Now()
	c.complete(ctx, l.report.Watermark)
	t.Logf("%d faults; complete %s after the last was healed and all was sent", faults, time.Since(healed).Round(time.Millisecond))
	c.isTruth(ctx, l.truth)
	c.isProven(l.truth)
	c.wereSpread(ctx, log)
	revisionsRise(ctx, t, log, c.name+".results")
}

// wereSpread: some ads were found to be hot, and spread.
func (c *cluster) wereSpread(ctx context.Context, log stream.Log) {
	c.t.Helper()
	facts, err := control.Load(ctx, log, c.name+".control")
	if err != nil {
		c.t.Fatal(err)
	}
	spans := facts.Spans(click.None)
	c.t.Logf("%d ads were spread", len(spans))
	if len(spans) == 0 {
		c.t.Error("no ad was spread")
	}
}

func fromEnv(t testing.TB, name string, preset int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return preset
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// chaos strikes a cluster.
type chaos struct {
	t       *testing.T
	c       *cluster
	brokers *servers.Kafka
	db      *servers.Cassandra
	chance  *rand.Rand
	targets []*member
	away    time.Duration // for which Cassandra is stopped
}

// between is a time from least to most.
func (x *chaos) between(least, most time.Duration) time.Duration {
	return least + time.Duration(x.chance.Int64N(int64(most-least)))
}

// pause lets time pass in which anything may happen: it waits for nothing.
func pause(ctx context.Context, t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

// strike does one fault. The rare ones come at set places, so that each run has them.
func (x *chaos) strike(ctx context.Context, n int) {
	target := x.targets[x.chance.IntN(len(x.targets))]
	switch {
	case n%7 == 3:
		i := x.chance.IntN(3)
		x.t.Logf("%d: broker %d killed", n, i)
		x.brokers.Kill(i)
		pause(ctx, x.t, x.between(time.Second, 4*time.Second))
		x.check(x.brokers.Start(ctx, i))
	case n%14 == 5:
		x.t.Logf("%d: Cassandra stopped for %s", n, x.away)
		x.check(x.db.Stop())
		pause(ctx, x.t, x.away)
		x.check(x.db.Start(ctx))
	case n%14 == 9:
		x.t.Logf("%d: the snapshots are thrown away, and a shard's owner killed", n)
		x.forget()
		target = x.targets[1]
		target.kill()
		target.start()
	case x.chance.IntN(3) == 0 && !target.held:
		x.t.Logf("%d: %s is a zombie", n, target.name)
		target.revive()
		target.hold()
		pause(ctx, x.t, x.between(7*time.Second, 10*time.Second)) // longer than its session
		target.release()
	default:
		x.t.Logf("%d: %s killed", n, target.name)
		target.kill()
		pause(ctx, x.t, x.between(0, 1500*time.Millisecond))
		target.start()
	}
	for _, m := range x.targets {
		m.revive()
	}
	pause(ctx, x.t, x.between(200*time.Millisecond, 2*time.Second))
}

func (x *chaos) check(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// forget empties the snapshot store.
func (x *chaos) forget() {
	dir := filepath.Join(x.c.dir, "snapshots")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // a snapshot was just replaced
			err = nil
		}
		return err
	})
	x.check(err)
}

func (x *chaos) heal(context.Context) {
	for _, m := range x.targets {
		m.revive()
	}
}

// revisionsRise reads every result that was ever sent: a count that was called
// final has its revision for itself.
func revisionsRise(ctx context.Context, t *testing.T, log *kafka.Log, topic string) {
	t.Helper()
	type cell struct {
		ad       string
		start    int64
		revision int64
	}
	said := map[cell]int64{}
	info, err := log.Topic(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for p := range info.Partitions {
		_, end, err := log.Bounds(ctx, topic, p)
		if err != nil {
			t.Fatal(err)
		}
		r, err := log.Open(ctx, topic, p, stream.At(0))
		if err != nil {
			t.Fatal(err)
		}
		for next := int64(0); next < end; {
			b, err := r.Read(ctx, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.Records {
				res, err := click.ParseResult(b.Records[i].Value)
				if b.Records[i].Value == nil {
					continue // a mark
				}
				if err != nil {
					t.Fatalf("%s/%d offset %d: %v", topic, p, b.Records[i].Offset, err)
				}
				if res.State == click.Provisional {
					continue
				}
				k := cell{string(res.Ad), res.Start, res.Revision}
				if n, ok := said[k]; ok && n != res.Count {
					t.Fatalf("%s: revision %d of the final count was %d and is %d", fmt.Sprint(k), k.revision, n, res.Count)
				}
				said[k] = res.Count
			}
			next = b.Next
		}
		_ = r.Close()
	}
	if len(said) == 0 {
		t.Error("no final result was ever sent")
	}
}
