package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// Installation is clickagg at work, to be measured: one process with everything
// inside, or a process for each role on a real Kafka and a real Cassandra.
type Installation struct {
	Dir       string // of all its files; Close removes it
	Topic     string // of the clicks
	API       *client.Client
	Processes []*Process

	binary  string
	brokers []string
	keys    map[string]string
	servers []server
}

// server is something that clickagg needs and that runs for it.
type server struct {
	name  string
	pid   int
	close func() error
}

// Process is one process of clickagg.
type Process struct {
	Name  string    // its role
	Began time.Time // when it was last started

	log   *os.File
	cmd   *exec.Cmd
	ended chan error
}

// Install starts clickagg, from a binary and with some keys of the configuration
// set, and returns when every part of it works. Real is a process for each role on
// Kafka and Cassandra; otherwise there is one process.
func Install(ctx context.Context, binary string, real bool, keys map[string]string) (in *Installation, err error) {
	in = &Installation{Topic: "clicks", binary: binary}
	defer func() {
		if err != nil {
			words := in.lastWords() // before they are removed
			err = fmt.Errorf("install: %w\n%s", errors.Join(err, in.Close()), words)
		}
	}()
	if in.Dir, err = os.MkdirTemp("", "clickagg-bench-"); err != nil {
		return in, err
	}
	api, broker, err := freeAddrs()
	if err != nil {
		return in, err
	}
	if in.API, err = client.New("http://" + api); err != nil {
		return in, err
	}
	in.keys = map[string]string{"api.listen": api, "watermark.trusted_topics": in.Topic}
	roles := []string{"all"}
	if real {
		roles = []string{"mapper", "aggregator", "reducer", "writer", "api"}
		err = in.serve(ctx)
	} else {
		in.brokers, in.keys["embedded.listen"] = []string{broker}, broker
	}
	if err != nil {
		return in, err
	}
	for k, v := range keys {
		in.keys[k] = v
	}
	if real {
		for _, args := range [][]string{{"topics", "create"}, {"schema", "apply", "--yes"}} {
			if out, err := in.command(args...).CombinedOutput(); err != nil {
				return in, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
			}
		}
	}
	for _, role := range roles {
		if err := in.add(role); err != nil {
			return in, err
		}
	}
	return in, in.Ready(ctx)
}

// serve starts Kafka and Cassandra.
func (in *Installation) serve(ctx context.Context) error {
	k, err := servers.StartKafka(ctx, servers.KafkaOptions{})
	if err != nil {
		return err
	}
	in.servers = append(in.servers, server{"Kafka", k.PIDs()[0], k.Close})
	c, err := servers.StartCassandra(ctx, servers.CassandraOptions{})
	if err != nil {
		return err
	}
	in.servers = append(in.servers, server{"Cassandra", c.PID(), c.Close})
	in.brokers = k.Addrs()
	for key, v := range map[string]string{
		"kafka.brokers": in.brokers[0], "kafka.replication": "1", "kafka.min_insync": "1",
		"cassandra.hosts": c.Addr(), "cassandra.replication": "datacenter1:1", "snapshots.url": filepath.Join(in.Dir, "snapshots"),
	} {
		in.keys[key] = v
	}
	return nil
}

// command is clickagg with the installation's configuration.
func (in *Installation) command(args ...string) *exec.Cmd {
	cmd := exec.Command(in.binary, args...)
	cmd.Env = os.Environ()
	for k, v := range in.keys {
		name := config.EnvPrefix + strings.ToUpper(strings.ReplaceAll(k, ".", "_"))
		cmd.Env = append(cmd.Env, name+"="+v)
	}
	return cmd
}

func (in *Installation) add(role string) error {
	log, err := os.Create(filepath.Join(in.Dir, role+".log"))
	if err != nil {
		return err
	}
	p := &Process{Name: role, log: log}
	in.Processes = append(in.Processes, p)
	return in.Start(p)
}

// Start starts a process, again after Kill, and does not wait for it.
func (in *Installation) Start(p *Process) error {
	p.cmd = in.command("run", "--role="+p.Name, "--data-dir", filepath.Join(in.Dir, p.Name))
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.Began = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return err
	}
	p.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(p.cmd, p.ended)
	return nil
}

// PID is the number of the process while it runs.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process by SIGKILL.
func (p *Process) Kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		p.cmd = nil
	}
}

// Ready waits until every part does its work.
func (in *Installation) Ready(ctx context.Context) error {
	for {
		r, err := in.API.Ready(ctx)
		if err == nil && r.Ready {
			return nil
		}
		for _, p := range in.Processes {
			select {
			case err := <-p.ended:
				p.cmd = nil
				return fmt.Errorf("%s ended: %w", p.Name, err)
			default:
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// Dial opens the installation's log.
func (in *Installation) Dial(ctx context.Context) (*kafka.Log, error) {
	return kafka.Open(ctx, kafka.Config{Brokers: in.brokers, ClientID: "bench"}, zap.NewNop())
}

// Usage is what each process has used, by name; servers too.
func (in *Installation) Usage() (map[string]Usage, error) {
	all := map[string]Usage{}
	add := func(name string, pid int) error {
		u, err := Of(pid)
		all[name] = u
		return err
	}
	for _, p := range in.Processes {
		if err := add("clickagg "+p.Name, p.PID()); err != nil {
			return nil, err
		}
	}
	for _, s := range in.servers {
		if err := add(s.name, s.pid); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// lastWords is the end of what each process logged.
func (in *Installation) lastWords() (text string) {
	for _, p := range in.Processes {
		b, _ := os.ReadFile(p.log.Name())
		text += fmt.Sprintf("%s: %s\n", p.Name, b[max(0, len(b)-2000):])
	}
	return text
}

// Close ends everything at once and removes the files.
func (in *Installation) Close() (err error) {
	for _, p := range in.Processes {
		p.Kill()
		err = errors.Join(err, p.log.Close())
	}
	if in.API != nil {
		in.API.Close()
	}
	for _, s := range in.servers {
		err = errors.Join(err, s.close())
	}
	if in.Dir != "" {
		err = errors.Join(err, os.RemoveAll(in.Dir))
	}
	return err
}

// freeAddrs finds two addresses nobody listens on.
func freeAddrs() (a, b string, err error) {
	for _, addr := range []*string{&a, &b} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", err
		}
		defer func() { _ = l.Close() }()
		*addr = l.Addr().String()
	}
	return a, b, nil
}
