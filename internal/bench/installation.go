package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// Installation is clickagg at work, to be measured: one process with everything
// inside, or a process for each role on a real Kafka and a real Cassandra.
type Installation struct {
	Topic string // of the clicks
	API   *client.Client

	dir       string // of all its files; Close removes it
	binary    string
	brokers   []string
	keys      map[string]string
	servers   []server
	processes []*Process
}

// server is something that clickagg needs and that runs for it.
type server struct {
	name  string
	pid   int
	close func() error
}

// Install starts clickagg, from a binary and with some keys of the configuration
// set, and returns when every part of it works. Real is a process for each role on
// Kafka and Cassandra; otherwise there is one process, which may have more roles than all.
func Install(ctx context.Context, binary string, real bool, keys map[string]string, also ...string) (in *Installation, err error) {
	in = &Installation{Topic: "clicks", binary: binary}
	defer func() {
		if err != nil {
			words := Tails(in.processes) // before they are removed
			err = fmt.Errorf("install: %w\n%s", errors.Join(err, in.Close()), words)
		}
	}()
	if in.dir, err = os.MkdirTemp("", "clickagg-bench-"); err != nil {
		return in, err
	}
	api, err := FreeAddr()
	if err != nil {
		return in, err
	}
	if in.API, err = client.New("http://" + api); err != nil {
		return in, err
	}
	in.keys = map[string]string{"api.listen": api, "watermark.trusted_topics": in.Topic}
	roles := []string{strings.Join(append([]string{"all"}, also...), ",")}
	if real {
		roles = []string{"mapper", "aggregator", "reducer", "writer", "api"}
		err = in.serve(ctx)
	} else {
		in.keys["embedded.listen"], err = FreeAddr()
		in.brokers = []string{in.keys["embedded.listen"]}
	}
	if err != nil {
		return in, err
	}
	maps.Copy(in.keys, keys)
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
	return in, in.ready(ctx)
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
	maps.Copy(in.keys, map[string]string{
		"kafka.brokers": in.brokers[0], "kafka.replication": "1", "kafka.min_insync": "1",
		"cassandra.hosts": c.Addr(), "cassandra.replication": "datacenter1:1", "snapshots.url": filepath.Join(in.dir, "snapshots"),
	})
	return nil
}

// command is clickagg with the installation's configuration.
func (in *Installation) command(args ...string) *exec.Cmd {
	cmd := exec.Command(in.binary, args...)
	cmd.Env = Environ(in.keys)
	return cmd
}

func (in *Installation) add(role string) error {
	p, err := Start("clickagg "+role, filepath.Join(in.dir, role+".log"), in.command("run", "--role="+role, "--data-dir", filepath.Join(in.dir, role)))
	if err == nil {
		in.processes = append(in.processes, p)
	}
	return err
}

// ready waits until every part does its work.
func (in *Installation) ready(ctx context.Context) error {
	for {
		r, err := in.API.Ready(ctx)
		if err == nil && r.Ready {
			return nil
		}
		for _, p := range in.processes {
			select {
			case <-p.Ended():
				return p.Err()
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
	for _, p := range in.processes {
		u, err := p.Usage()
		if err != nil {
			return nil, err
		}
		all[p.Name] = u
	}
	for _, s := range in.servers {
		u, err := Of(s.pid)
		if err != nil {
			return nil, err
		}
		all[s.name] = u
	}
	return all, nil
}

// Close ends everything at once and removes the files.
func (in *Installation) Close() (err error) {
	for _, p := range in.processes {
		p.Kill()
	}
	if in.API != nil {
		in.API.Close()
	}
	for _, s := range in.servers {
		err = errors.Join(err, s.close())
	}
	if in.dir != "" {
		err = errors.Join(err, os.RemoveAll(in.dir))
	}
	return err
}
