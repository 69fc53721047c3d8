package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

const (
	clicksTopic = "clicks"
	partitions  = 4
	seed        = 42
	loadBatch   = 10_000 // clicks in one append
)

// broker is how the one broker of a race runs: as one for real work does, and not
// as those of tests, which start quickly and compile little.
var broker = servers.KafkaOptions{
	JVM:        []string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"},
	Properties: map[string]string{"file.delete.delay.ms": "1000"},
}

// race is what all contestants of one invocation share.
type race struct {
	options
	home      string // of everything that is written
	kafka     *servers.Kafka
	broker    string // its address
	brokerPid int
	truth     *truth
	classPath map[string]string // by job
	logger    *zap.Logger
}

// say prints what goes on, which takes minutes.
func (*race) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// newRace builds what is to be built, starts the broker and fills the topic.
func newRace(ctx context.Context, o options, racing []contestant) (r *race, err error) {
	r = &race{options: o, classPath: map[string]string{}, logger: zap.NewNop()}
	for _, path := range []*string{&r.binary, &r.cache} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	onKafka := false
	for _, c := range racing {
		onKafka = onKafka || c.setup != nil
		if c.job == "" || r.classPath[c.job] != "" {
			continue
		}
		if r.classPath[c.job], err = buildJob(ctx, r.cache, c.job, r.say); err != nil {
			return nil, err
		}
	}
	if r.home, err = os.MkdirTemp("", "clickagg-peers-"); err != nil {
		return nil, err
	}
	if !onKafka {
		return r, nil
	}
	r.say("starting Kafka")
	o2 := broker
	o2.Dir = filepath.Join(r.home, "kafka")
	if r.kafka, err = servers.StartKafka(ctx, o2); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.broker, r.brokerPid = r.kafka.Addrs()[0], r.kafka.PIDs()[0]
	if err := r.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("load the clicks: %w", err), r.close())
	}
	return r, nil
}

func (r *race) close() (err error) {
	if r.kafka != nil {
		err = r.kafka.Close()
	}
	return errors.Join(err, os.RemoveAll(r.home))
}

// load fills the topic of clicks and keeps the truth.
func (r *race) load(ctx context.Context) error {
	log, err := kafka.Open(ctx, kafka.Config{
		Brokers: []string{r.broker}, ClientID: "bench", BatchBytes: 512 << 10,
		Compression: func(string) kafka.Codec { return kafka.LZ4 },
	}, r.logger)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if err := log.CreateTopics(ctx, []kafka.TopicSpec{{Name: clicksTopic, Partitions: partitions, Replication: 1, Configs: map[string]string{
		"message.timestamp.type": "LogAppendTime", "retention.ms": "-1", "retention.bytes": "-1",
	}}}); err != nil {
		return err
	}
	c := newClicks(r.n, seed)
	r.truth = &c.truth
	batch := make([]stream.Message, 0, loadBatch)
	var bytes []byte
	began, shown, size := time.Now(), time.Now(), int64(0)
	for more := true; more; {
		batch, bytes = batch[:0], bytes[:0]
		for len(batch) < loadBatch {
			var value []byte
			if _, value, more = c.next(); !more {
				break
			}
			at := len(bytes)
			bytes = append(bytes, value...)
			kept := bytes[at:len(bytes):len(bytes)]
			batch = append(batch, stream.Message{Partition: stream.ByKey, Key: kept[idStart:idEnd], Value: kept})
			size += int64(len(value))
		}
		if err := log.Append(ctx, clicksTopic, batch); err != nil {
			return err
		}
		if time.Since(shown) > 5*time.Second {
			shown = time.Now()
			r.say("  %s of %s clicks loaded", bench.Number(float64(c.made), 0), bench.Number(float64(r.n), 0))
		}
	}
	r.say("%s clicks of %.0f bytes loaded in %v: %s final counts of %s clicks are right", bench.Number(float64(r.n), 0), float64(size)/float64(r.n),
		time.Since(began).Round(time.Second), bench.Number(float64(r.truth.finals), 0), bench.Number(float64(r.truth.clicks), 0))
	return nil
}

// run lets everybody count, round by round; each round another begins. It returns
// the figures of all turns whose answers were right, and an error for the others.
func (r *race) run(ctx context.Context, racing []contestant) (all []figures, err error) {
	for round := range r.rounds {
		for i := range racing {
			c := racing[(round+i)%len(racing)]
			if err := r.settle(ctx); err != nil {
				return all, err
			}
			r.say("round %d of %d: %s", round+1, r.rounds, c.name)
			f, wrong := r.turn(ctx, c, round+1)
			if ctx.Err() != nil {
				return all, ctx.Err()
			}
			if wrong != nil {
				err = errors.Join(err, fmt.Errorf("%s, round %d: %w", c.name, round+1, wrong))
				r.say("  no figures: %v", wrong)
				continue
			}
			all = append(all, f)
			r.say("  all right after %.1f s: %s clicks/s, %.2f µs of CPU per click, %.0f MB", f.Seconds, bench.Number(f.Rate, 0), f.CPU, f.PeakMB)
			if len(f.Parts) > 1 {
				for _, p := range f.Parts {
					r.say("    %-10s %.2f µs per click, %.0f MB", p.Role, p.CPUSeconds*1e6/float64(r.n), p.PeakMB)
				}
			}
		}
	}
	return all, err
}

// settle waits until the broker has done with the turn before: at most a tenth of a
// core for a second.
func (r *race) settle(ctx context.Context) error {
	if r.kafka == nil {
		return nil
	}
	const calm = time.Second / 10
	for range 20 {
		before, err := bench.Of(r.brokerPid)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		after, err := bench.Of(r.brokerPid)
		if err != nil {
			return err
		}
		if after.CPU-before.CPU <= calm {
			return nil
		}
	}
	return nil
}
