package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// contestant is somebody who counts the clicks.
type contestant struct {
	name  string
	job   string // of jobs/, which it needs built
	setup func(ctx context.Context, r *run) (answers, []command, error)
}

// command is a process of a contestant. Its output goes to a file.
type command struct {
	role string
	args []string
}

// contestants are all there are. The first of those that race is what the others
// are compared with.
var contestants = []contestant{
	{name: "clickagg", setup: ours("mapper,aggregator,reducer")},
	{name: "clickagg-split", setup: ours("mapper", "aggregator", "reducer")},
	{name: "flink-set", job: "flink", setup: flink("hashmap", "set")},
	{name: "flink-ttl", job: "flink", setup: flink("hashmap", "ttl")},
	{name: "flink-rocksdb", job: "flink", setup: flink("rocksdb", "ttl")},
	{name: "kstreams-mem", job: "kstreams", setup: kstreams("mem")},
	{name: "kstreams-custom", job: "kstreams", setup: kstreams("custom")},
	{name: "kstreams-rocks", job: "kstreams", setup: kstreams("rocks")},
	{name: demoName},
}

const defaultPeers = "clickagg,flink-set,kstreams-mem," + demoName

func named(list string) (chosen []contestant, err error) {
	for name := range strings.SplitSeq(list, ",") {
		found := false
		var all []string
		for _, c := range contestants {
			all = append(all, c.name)
			if c.name == strings.TrimSpace(name) {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no contestant %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}

// configuration is what a user would write for two cores and one broker.
const configuration = `
kafka:
  brokers: ["%[1]s"]
  topic_prefix: %[2]s
  replication: 1
  min_insync: 1
input:
  topics: [%[3]s]
aggregator:
  shards: %[4]d
snapshots:
  url: %[5]s
`

// ours runs the binary, a process for each text of roles.
func ours(roles ...string) func(context.Context, *run) (answers, []command, error) {
	return func(ctx context.Context, r *run) (answers, []command, error) {
		prefix := strings.TrimSuffix(r.prefix, ".")
		file := filepath.Join(r.dir, "clickagg.yaml")
		text := fmt.Sprintf(configuration, r.broker, prefix, clicksTopic, r.shards, filepath.Join(r.dir, "snapshots"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return answers{}, nil, err
		}
		if out, err := exec.CommandContext(ctx, r.binary, "topics", "create", "--config", file).CombinedOutput(); err != nil {
			return answers{}, nil, fmt.Errorf("topics create: %w\n%s", err, out)
		}
		var all []command
		for i, role := range roles {
			all = append(all, command{role, []string{r.binary, "run", "--role=" + role, "--config", file, "--data-dir", filepath.Join(r.dir, "data-"+strconv.Itoa(i))}})
		}
		return answersOfOurs(prefix), all, nil
	}
}

// theirTopics makes the topics of a job, which keep everything.
func theirTopics(ctx context.Context, r *run, partitions map[string]int32) error {
	var specs []kafka.TopicSpec
	for name, n := range partitions {
		specs = append(specs, kafka.TopicSpec{Name: name, Partitions: n, Replication: 1, Configs: map[string]string{"retention.ms": "-1"}})
	}
	return r.log.CreateTopics(ctx, specs)
}

// java is a job's process. Ample memory and the collector for throughput is what
// both ran best with.
func (r *run) java(job string, options []string, properties map[string]string, class string) command {
	args := []string{"java", "-Xms" + r.heap, "-Xmx" + r.heap, "-XX:+UseParallelGC"}
	args = append(args, options...)
	for k, v := range properties {
		args = append(args, "-D"+k+"="+v)
	}
	args = append(args, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", r.classPath[job], class)
	return command{job, args}
}

func flink(backend, dedup string) func(context.Context, *run) (answers, []command, error) {
	return func(ctx context.Context, r *run) (answers, []command, error) {
		a := answersOfTheirs(r.prefix)
		err := theirTopics(ctx, r, map[string]int32{a.results: 4, a.tops: 1})
		return a, []command{r.java("flink", []string{"--add-opens", "java.base/java.util=ALL-UNNAMED", "--add-opens", "java.base/java.lang=ALL-UNNAMED"},
			map[string]string{
				"app": r.prefix + "app", "bootstrap": r.broker, "in": clicksTopic, "out": a.results, "top": a.tops, "ckpt": "1000", "par": "2",
				"backend": backend, "dedup": dedup, "state": filepath.Join(r.dir, "state"),
			}, "FL")}, err
	}
}

func kstreams(store string) func(context.Context, *run) (answers, []command, error) {
	return func(ctx context.Context, r *run) (answers, []command, error) {
		a, app := answersOfTheirs(r.prefix), r.prefix+"app"
		err := theirTopics(ctx, r, map[string]int32{a.results: 4, a.tops: 1, app + "_byad": 4, app + "_toppart": 1})
		return a, []command{r.java("kstreams", nil, map[string]string{
			"app": app, "bootstrap": r.broker, "in": clicksTopic, "out": a.results, "top": a.tops, "mode": "papi", "store": store,
			"commit": "1000", "grace": "15000", "threads": "2", "poll": "1000", "buffered": "1000", "state": filepath.Join(r.dir, "state"),
		}, "KS")}, err
	}
}
