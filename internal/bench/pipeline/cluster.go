package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// inputTopic is where clicks are sent when the broker is inside.
const inputTopic = "clicks"

// counting is what it takes to get results.
const counting = "mapper,aggregator,reducer"

// cluster is the processes of one run.
type cluster struct {
	o       *Options
	dir     string
	ops     string // of the first process
	brokers []string
	topics  click.Topics
	env     []string
	members []*bench.Process
	log     stream.Log
	cancel  context.CancelCauseFunc // ends the run when a process ends by itself
}

func newCluster(o *Options, cancel context.CancelCauseFunc) (*cluster, error) {
	dir, err := os.MkdirTemp("", "clickagg-bench-")
	if err != nil {
		return nil, err
	}
	keys := map[string]string{"log.level": "warn", "watermark.trusted_topics": inputTopic, "kafka.topic_prefix": "clickagg"}
	c := &cluster{o: o, dir: dir, cancel: cancel, brokers: o.Brokers}
	if c.ops, err = bench.FreeAddr(); err != nil {
		return nil, err
	}
	if len(o.Brokers) > 0 {
		maps.Copy(keys, map[string]string{
			"kafka.brokers": strings.Join(o.Brokers, ","), "kafka.topic_prefix": o.Prefix, "kafka.replication": "1", "kafka.min_insync": "1",
			"input.topics": o.Input.Topic, "input.partitions": strconv.Itoa(int(o.Input.Partitions)), "watermark.trusted_topics": o.Input.Topic,
			"snapshots.url": filepath.Join(dir, "snapshots"),
		})
	} else {
		broker, err := bench.FreeAddr()
		if err != nil {
			return nil, err
		}
		api, err := bench.FreeAddr()
		if err != nil {
			return nil, err
		}
		c.brokers = []string{broker}
		keys["embedded.listen"], keys["api.listen"] = broker, api
	}
	maps.Copy(keys, o.Keys)
	c.topics = click.TopicsOf(keys["kafka.topic_prefix"])
	c.env = bench.Environ(keys)
	return c, nil
}

// start starts the processes.
func (c *cluster) start() error {
	if len(c.o.Brokers) == 0 {
		return c.add("all")
	}
	for range max(1, c.o.Processes) {
		if err := c.add(counting); err != nil {
			return err
		}
	}
	return nil
}

// createTopics makes the run's own topics.
func (c *cluster) createTopics() error {
	if len(c.o.Brokers) == 0 {
		return nil // the process makes them
	}
	cmd := exec.Command(c.o.Binary, "topics", "create")
	cmd.Env = c.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("topics create: %w: %s", err, out)
	}
	return nil
}

func (c *cluster) add(roles string) error {
	name := strconv.Itoa(len(c.members))
	args := []string{"run", "--role=" + roles, "--data-dir", filepath.Join(c.dir, name)}
	if len(c.members) == 0 && c.o.Beside != nil {
		args = append(args, "--ops.listen", c.ops)
	}
	cmd := exec.Command(c.o.Binary, args...)
	cmd.Env = c.env
	p, err := bench.Start("process "+name, filepath.Join(c.dir, name+".log"), cmd)
	if err != nil {
		return err
	}
	c.members = append(c.members, p)
	go func() { c.cancel(p.Err()) }()
	return nil
}

// usage adds up what the processes have used.
func (c *cluster) usage() (sum bench.Usage, err error) {
	for _, p := range c.members {
		u, err := p.Usage()
		if err != nil {
			return sum, err
		}
		sum = sum.Plus(u)
	}
	return sum, nil
}

// close ends the processes at once, and removes their files.
func (c *cluster) close() (err error) {
	for _, p := range c.members {
		p.Kill()
	}
	if c.log != nil {
		err = errors.Join(err, c.log.Close())
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}
