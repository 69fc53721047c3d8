package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/crew"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/topology"
)

// role is one role at work in this process.
type role struct {
	name       string
	group      string
	partitions func() []stream.Partition
	check      func(ctx context.Context) error // whether this process may join the others; nil if nothing forbids it
	work       crew.Work
	working    func() int   // parts that did their first turn
	owns       atomic.Int32 // partitions that are this process's, plus one; 0 when not told yet
}

// owned is how many partitions are this process's, and whether it was told.
func (r *role) owned() (n int, told bool) {
	owns := int(r.owns.Load())
	return max(owns-1, 0), owns > 0
}

// share runs a role's part of the partitions: all of them where there is one
// process, what the group gives this process in a cluster.
func (p *process) share(ctx context.Context, r *role) error {
	logger := p.logger.With(zap.String("role", r.name))
	var groups stream.Groups = crew.Alone{Logger: logger}
	if p.cluster() {
		groups = p.log
	}
	return crew.Run(ctx, crew.Config{
		Groups: counted{groups, r}, Group: r.group, Process: p.id, Logger: logger,
		Partitions: func(context.Context) ([]stream.Partition, error) { return r.partitions(), nil },
	}, r.work)
}

// counted counts what is a role's.
type counted struct {
	stream.Groups
	role *role
}

func (c counted) Join(ctx context.Context, m stream.Membership) error {
	own := m.Own
	m.Own = func(owned []stream.Partition) {
		c.role.owns.Store(int32(len(owned)) + 1)
		own(owned)
	}
	return c.Groups.Join(ctx, m)
}

func numbered(topic string, n int32) []stream.Partition {
	out := make([]stream.Partition, n)
	for i := range out {
		out[i] = stream.Partition{Topic: topic, Number: int32(i)}
	}
	return out
}

func (p *process) shuffle() []stream.Partition {
	return numbered(p.topics.Shuffle, p.facts.Cluster.Shards)
}

func (p *process) partials() []stream.Partition {
	return numbered(p.topics.Partials, p.facts.Cluster.Reducers)
}

func (p *process) results() []stream.Partition {
	return append(numbered(p.topics.Results, topology.ResultsPartitions), numbered(p.topics.Rankings, p.facts.Cluster.Reducers)...)
}

// inputs are the partitions clicks are read from, as last looked up.
type inputs struct {
	now    atomic.Pointer[[]stream.Partition]
	logger *zap.Logger
}

func (in *inputs) partitions() []stream.Partition {
	if now := in.now.Load(); now != nil {
		return *now
	}
	return nil
}

// refresh looks for input topics and partitions. What was known stays: a topic
// that is gone is a loss, and its reader will say so.
func (in *inputs) refresh(ctx context.Context, log *kafka.Log, cfg config.Config) error {
	names, err := log.TopicNames(ctx)
	if err != nil {
		return fmt.Errorf("look for input topics: %w", err)
	}
	var found []stream.Partition
	for _, name := range topology.Inputs(cfg, names) {
		if in.unfit(ctx, log, cfg, name) {
			continue
		}
		t, err := log.Topic(ctx, name)
		if err != nil {
			return fmt.Errorf("input.topics: %w", err)
		}
		found = append(found, numbered(t.Name, t.Partitions)...)
	}
	for _, old := range in.partitions() {
		if !slices.Contains(found, old) {
			found = append(found, old)
		}
	}
	in.now.Store(&found)
	return nil
}

// unfit tells whether a topic that was made while this process runs is not such that
// its clicks would be counted exactly, and says why. Those that were there at the
// start have been checked.
func (in *inputs) unfit(ctx context.Context, log *kafka.Log, cfg config.Config, name string) bool {
	known := in.partitions()
	if known == nil || slices.ContainsFunc(known, func(p stream.Partition) bool { return p.Topic == name }) {
		return false
	}
	found, err := findings(ctx, log, cfg)
	if err == nil {
		err = topology.Verdict(slices.DeleteFunc(found, func(f topology.Finding) bool { return f.Topic != name }))
	}
	if err != nil && ctx.Err() == nil {
		in.logger.Warn("a new input topic is not read", zap.String("topic", name), zap.Error(err))
	}
	return err != nil
}

// watch looks again every now and then, and tells found how many there are.
func (in *inputs) watch(ctx context.Context, log *kafka.Log, cfg config.Config, found func(n int32)) error {
	tick := time.NewTicker(cfg.Input.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		before := len(in.partitions())
		if err := in.refresh(ctx, log, cfg); err != nil {
			if ctx.Err() == nil {
				in.logger.Warn("cannot look for new input topics; what is known goes on", zap.Error(err))
			}
			continue
		}
		if n := len(in.partitions()); n != before {
			in.logger.Info("input partitions", zap.Int("before", before), zap.Int("now", n))
			found(int32(n))
		}
	}
}
