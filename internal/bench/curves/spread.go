package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/clickagg/clickagg/internal/bench/pipeline"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/servers"
)

// spread is how the work on clicks of one Kafka is spread.
type spread struct{ partitions, shards, processes int }

// usual is how it is where nothing else is said.
var usual = spread{partitions: 4, shards: 4, processes: 1}

// rig is a Kafka with the clicks of every number of partitions that was needed.
type rig struct {
	binary string
	stream gen.Options
	kafka  *servers.Kafka
	inputs map[int]pipeline.Input // by partitions
	runs   int
}

// input sends the clicks to a topic, once for each number of partitions.
func (r *rig) input(ctx context.Context, partitions int) (in pipeline.Input, err error) {
	if r.kafka == nil {
		if r.kafka, err = servers.StartKafka(ctx, servers.KafkaOptions{}); err != nil {
			return in, err
		}
	}
	if in, ok := r.inputs[partitions]; ok {
		return in, nil
	}
	r.runs++ // a topic that was begun and not finished is left alone
	topic := fmt.Sprintf("clicks-%d-%d", partitions, r.runs)
	if in, err = pipeline.Preload(ctx, r.kafka.Addrs(), topic, int32(partitions), r.stream); err == nil {
		r.inputs[partitions] = in
	}
	return in, err
}

// measure counts the clicks, spread in some way.
func (r *rig) measure(ctx context.Context, s spread) ([]float64, error) {
	in, err := r.input(ctx, s.partitions)
	if err != nil {
		return nil, err
	}
	r.runs++
	run, err := pipeline.Measure(ctx, pipeline.Options{
		Binary: r.binary, Brokers: r.kafka.Addrs(), Input: in, Prefix: fmt.Sprintf("run-%d", r.runs),
		Processes: s.processes, Keys: map[string]string{"aggregator.shards": strconv.Itoa(s.shards)},
	})
	if err != nil {
		return nil, err
	}
	n := float64(run.Clicks)
	return []float64{n / run.Work.Seconds(), n / run.Whole.Seconds(), run.Usage.CPU.Seconds() * 1e6 / n, float64(run.Usage.Peak) / (1 << 20)}, nil
}

func (r *rig) close() error {
	if r.kafka == nil {
		return nil
	}
	return r.kafka.Close()
}

var spreadPanels = []panel{
	{"clicks/s", []string{"at work", "start included"}},
	{"CPU per click, µs", []string{"all processes"}},
	{"greatest memory, MB", []string{"all processes"}},
}

// curves are those of the whole on Kafka.
func (r *rig) curves() []*curve {
	curveOver := func(name, title string, values []int, set func(*spread, int)) *curve {
		return &curve{
			name: name, title: title, x: name, points: texts(values, strconv.Itoa), panels: spreadPanels,
			measure: func(ctx context.Context, point int) ([]float64, error) {
				s := usual
				set(&s, values[point])
				return r.measure(ctx, s)
			},
		}
	}
	powers := []int{1, 2, 4, 8, 16}
	return []*curve{
		curveOver("shards", "Shards", powers, func(s *spread, n int) { s.shards = n }),
		curveOver("partitions", "Partitions of the input topic", powers, func(s *spread, n int) { s.partitions = n }),
		curveOver("processes", "Processes", []int{1, 2, 3, 4}, func(s *spread, n int) { s.processes = n }),
	}
}
