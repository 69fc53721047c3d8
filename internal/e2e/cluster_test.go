package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// roles are what a cluster is made of, in the order of the pipeline.
var roles = []string{"mapper", "aggregator", "reducer", "writer", "api"}

// cluster is an installation of processes that share nothing but Kafka,
// Cassandra and a directory of snapshots.
type cluster struct {
	t       testing.TB
	name    string // of the topics' prefix and of the keyspace
	dir     string
	file    string // the configuration all processes have
	brokers []string
	api     string
	client  *client.Client
	members []*member
}

// member is one process of a cluster: its name and data directory stay the same,
// however often it is killed and started.
type member struct {
	c     *cluster
	name  string // role-number
	role  string
	args  []string
	cmd   *exec.Cmd
	out   *os.File
	ended chan error
	since int  // of what it printed, where the last start began
	held  bool // stopped by SIGSTOP
}

// newCluster writes the configuration of an installation of its own on the
// servers, creates its topics and its schema, and starts nothing. More is YAML
// that goes into the file.
func newCluster(t testing.TB, brokers []string, cassandra, more string) *cluster {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "_", "-", "_").Replace(t.Name()))
	name = fmt.Sprintf("%.30s_%d", name, time.Now().UnixNano()%1_000_000)
	c := &cluster{t: t, name: name, dir: t.TempDir(), brokers: brokers, api: freeAddr(t)}
	replicas := min(len(brokers), 3)
	text := fmt.Sprintf(`
kafka:
  brokers: [%s]
  topic_prefix: %s
  replication: %d
  min_insync: %d
input:
  topics: [%[2]s-clicks]
watermark:
  trusted_topics: [%[2]s-clicks]
cassandra:
  hosts: ["%[5]s"]
  keyspace: %[2]s
  replication: ["datacenter1:1"]
snapshots:
  url: %[6]s
api:
  listen: %[7]s
`, strings.Join(brokers, ", "), name, replicas, max(1, replicas-1), cassandra, filepath.Join(c.dir, "snapshots"), c.api)
	c.file = filepath.Join(c.dir, "clickagg.yaml")
	if err := os.WriteFile(c.file, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.client, err = client.New("http://" + c.api); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	c.must("topics", "create")
	c.must("schema", "apply", "--yes")
	return c
}

// input is the topic clicks are sent to.
func (c *cluster) input() string { return c.name + "-clicks" }

func (c *cluster) close() {
	for _, m := range c.members {
		m.kill()
		_ = m.out.Close()
	}
	c.client.Close()
	if !c.t.Failed() {
		return
	}
	for _, m := range c.members {
		b, _ := os.ReadFile(m.out.Name())
		c.t.Logf("last lines of %s:\n%s", m.name, b[max(0, len(b)-3000):])
	}
}

// must runs a clickagg command that succeeds.
func (c *cluster) must(args ...string) string {
	c.t.Helper()
	stdout, stderr, status := runWith(c.t, "", append(args, "--config", c.file)...)
	if status != 0 {
		c.t.Fatalf("%s: status %d: %s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout
}

// add starts another process of a role.
func (c *cluster) add(role string, args ...string) *member {
	c.t.Helper()
	n := 0
	for _, m := range c.members {
		if m.role == role {
			n++
		}
	}
	m := &member{c: c, role: role, name: fmt.Sprintf("%s-%d", strings.ReplaceAll(role, ",", "+"), n), args: args}
	var err error
	if m.out, err = os.Create(filepath.Join(c.dir, m.name+".log")); err != nil {
		c.t.Fatal(err)
	}
	c.members = append(c.members, m)
	m.start()
	return m
}

// start starts the process, and does not wait for it to be ready.
func (m *member) start() {
	m.c.t.Helper()
	m.cmd = exec.Command(binary, append([]string{"run", "--role=" + m.role, "--config", m.c.file,
		"--data-dir", filepath.Join(m.c.dir, m.name)}, m.args...)...)
	m.cmd.Stdout, m.cmd.Stderr = m.out, m.out
	m.since = len(m.log())
	if err := m.cmd.Start(); err != nil {
		m.c.t.Fatal(err)
	}
	m.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(m.cmd, m.ended)
}

// kill ends the process by SIGKILL, if it runs.
func (m *member) kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	<-m.ended
	m.cmd, m.held = nil, false
}

// stop ends the process by SIGTERM and returns its exit status.
func (m *member) stop(ctx context.Context) int {
	m.c.t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.c.t.Fatal(err)
	}
	return m.wait(ctx)
}

// wait waits until the process has ended and returns its exit status.
func (m *member) wait(ctx context.Context) int {
	m.c.t.Helper()
	var err error
	select {
	case err = <-m.ended:
	case <-ctx.Done():
		m.c.t.Fatalf("%s does not end: %v", m.name, ctx.Err())
	}
	m.cmd = nil
	var e *exec.ExitError
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	return 0
}

// revive starts the process again if it has ended, and fails the test unless it
// ended with a status that a supervisor answers with a restart.
func (m *member) revive() {
	m.c.t.Helper()
	if m.cmd != nil {
		select {
		case err := <-m.ended:
			var e *exec.ExitError
			if errors.As(err, &e) && (e.ExitCode() == 2 || e.ExitCode() == 4) {
				m.cmd = nil
				m.c.t.Fatalf("%s ended with status %d", m.name, e.ExitCode())
			}
			m.cmd = nil
		default:
			return
		}
	}
	m.start()
}

// hold stops the process as it stands, release lets it go on.
func (m *member) hold() { m.signal(syscall.SIGSTOP); m.held = true }

func (m *member) release() { m.signal(syscall.SIGCONT); m.held = false }

func (m *member) signal(s syscall.Signal) {
	if m.cmd != nil {
		_ = m.cmd.Process.Signal(s)
	}
}

// log is what the process has printed.
func (m *member) log() string {
	b, _ := os.ReadFile(m.out.Name())
	return string(b)
}

// dial opens the cluster's log.
func (c *cluster) dial(ctx context.Context) *kafka.Log {
	c.t.Helper()
	log, err := kafka.Open(ctx, kafka.Config{Brokers: c.brokers, ClientID: "e2e"}, zap.NewNop())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = log.Close() })
	return log
}

// eventually tries until f returns nil or ctx ends.
func (c *cluster) eventually(ctx context.Context, what string, f func() error) {
	c.t.Helper()
	eventually(ctx, c.t, what, f)
}

// ready waits until the API answers.
func (c *cluster) ready(ctx context.Context) {
	c.t.Helper()
	c.eventually(ctx, "ready", func() error {
		r, err := c.client.Ready(ctx)
		if err == nil && !r.Ready {
			err = fmt.Errorf("%+v", r.NotReady)
		}
		return err
	})
}

// complete waits until everything before a time is final in the store.
func (c *cluster) complete(ctx context.Context, ms int64) {
	c.t.Helper()
	c.eventually(ctx, "complete", func() error {
		st, err := c.client.Status(ctx)
		if err == nil && (st.CompleteUntil == nil || st.CompleteUntil.UnixMilli() < ms) {
			err = fmt.Errorf("complete until %v, held back by %s", st.CompleteUntil, st.HoldsBack)
		}
		return err
	})
}

// isTruth compares the export with the truth, cell by cell, and the accounts with
// the clicks.
func (c *cluster) isTruth(ctx context.Context, truth *gen.Truth) {
	c.t.Helper()
	got, err := gen.ReadCSV(strings.NewReader(c.must("export", "counts")))
	if err != nil {
		c.t.Fatal(err)
	}
	if r := gen.Compare(&truth.Counts, got); !r.Equal() {
		c.t.Fatal(r.String())
	}
	c.eventually(ctx, "accounts", func() error {
		st, err := c.client.Status(ctx)
		if err != nil {
			return err
		}
		sum := total(st.Accounting)
		if !sum.Holds {
			c.t.Fatalf("the accounts do not hold: %+v", st.Accounting)
		}
		if sum.Counted != truth.Clicks || sum.Pending != 0 {
			return fmt.Errorf("%+v, the truth is %d clicks", sum, truth.Clicks)
		}
		return nil
	})
}
