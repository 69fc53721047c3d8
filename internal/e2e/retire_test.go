package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
)

// Input topics are found by a pattern while the cluster runs; one that is taken out
// holds every window back until it is retired.
func TestInputTopicsComeAndGo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	addrs := kafkaServer(t).Addrs()
	c := newCluster(t, addrs, cassandraServer(t).Addr(), "")
	pattern := []string{"--input.topics", c.name + "-clicks*", "--watermark.trusted-topics", c.name + "-clicks," + c.name + "-clicks-eu", "--input.refresh", "200ms"}
	m := c.add("mapper", pattern...)
	for _, role := range []string{"aggregator", "reducer,writer"} {
		c.add(role)
	}
	c.add("api", pattern[:2]...)
	c.ready(ctx)
	m.working(ctx)
	send := func(topic string, seed uint64, start time.Time) (load.Report, *gen.Truth) {
		t.Helper()
		o := gen.Defaults()
		o.Events, o.Seed, o.Start = 5_000, seed, start
		r, truth, err := load.Generate(ctx, c.dial(ctx), load.GenerateOptions{Gen: o, Topic: topic, Finish: true})
		if err != nil {
			t.Fatal(err)
		}
		return r, truth
	}
	start := gen.Defaults().Start

	// Case: a topic that is made while the mapper runs is counted with the first.
	look(t, addrs).create(c.name+"-clicks-eu", 2, map[string]string{"message.timestamp.type": "LogAppendTime"})
	first, a := send(c.input(), 1, start)
	second, b := send(c.name+"-clicks-eu", 2, start)
	c.complete(ctx, min(first.Watermark, second.Watermark))
	c.eventually(ctx, "both topics' accounts", func() error {
		st, err := c.client.Status(ctx)
		if err != nil {
			return err
		}
		if sum := total(st.Accounting); sum.Counted != a.Clicks+b.Clicks || len(st.Accounting) != 6 {
			return context.DeadlineExceeded
		}
		return nil
	})

	// Case: taken out, it may not be retired as long as it is configured or its mapper was not stopped in order.
	_, stderr, status := runWith(t, "", "sources", "retire", c.name+"-clicks-eu", "--yes", "--config", c.file)
	if status != 1 || !strings.Contains(stderr, "was not handed over in order") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if _, stderr, status := runWith(t, "", "sources", "retire", c.input(), "--yes", "--config", c.file); status != 2 || !strings.Contains(stderr, "is in input.topics") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if status := m.stop(ctx); status != 0 {
		t.Fatalf("the mapper ended with status %d", status)
	}
	m.args = nil
	m.start()
	m.working(ctx)
	c.must("sources", "retire", c.name+"-clicks-eu", "--yes")

	// Case: then later windows close without it.
	third, _ := send(c.input(), 3, start.Add(time.Hour))
	c.complete(ctx, third.Watermark)
}
