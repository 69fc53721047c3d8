package e2e

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestKillBesideCluster does the same with a process for each role, on Kafka and Cassandra.
func TestKillBesideCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	seed, rounds := killSeed(t), fromEnv(t, "KILL_ROUNDS", killRounds)
	const hours = 3
	cold := filepath.Join(t.TempDir(), "cold")
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "archive:\n  url: "+cold+"\n  after: 24h\naggregator:\n  snapshot_interval: 2s\n"+
		"correction:\n  rows_per_second: 150\nreconcile:\n  schedule: 1m\nlog:\n  level: warn\n")
	o := keyspace(cassandraServer(t).Addr())
	o.Keyspace = c.name
	store := openStore(t, o)
	old := oldRecords(hours)
	for src, records := range old {
		for part := range slices.Chunk(records, 10_000) {
			if err := store.Raw().Put(ctx, src, part); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, role := range []string{"mapper", "aggregator", "reducer,writer", "raw", "reconcile"} {
		c.add(role)
	}
	archiver, corrector := c.add("archive"), c.add("api")
	c.ready(ctx)
	log := c.dial(ctx)
	l := goLive(ctx, t, log, c.input(), seed, fromEnv(t, "KILL_RATE", killRate/4))
	c.complete(ctx, atMinute(30))

	chance := rand.New(rand.NewPCG(seed, 0))
	op := &operator{
		t: t, chance: chance, log: log, control: c.name + ".control", api: c.client, url: "http://" + c.api, caught: map[string]int{},
		spoil: func(ctx context.Context) { spoil(ctx, t, chance, store) },
		strike: func(ctx context.Context) {
			for _, m := range []*member{archiver, corrector, c.members[chance.IntN(len(c.members))]} {
				m.kill()
				m.start()
			}
			c.ready(ctx)
		},
	}
	for n := range rounds {
		op.correct(ctx, n)
	}
	end, complete := l.close(ctx, t, log, c.input())
	c.complete(ctx, complete)
	op.settle(ctx, end, l.truth)
	c.isTruth(ctx, l.truth)
	archives(ctx, t, cold, old, len(old)*hours)
	c.must("archive", "verify")
	keeps(ctx, t, store.Raw(), cold, printed(ctx, t, log, c.input(), old))
}
