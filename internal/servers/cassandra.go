package servers

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/gocql/gocql"
)

// CassandraOptions describe a store of one node. The zero value is the newest
// version, open to everybody.
type CassandraOptions struct {
	Version string // a directory of maven/; "" is E2E_CASSANDRA, or else Cassandra50
	Dir     string // where the node lives; "" is a fresh one, which Close removes

	// Quick sets the node up as one that serves is, rather than one that is started
	// for a test: more memory, the compiler's best code, and a commit log that is synced
	// every ten seconds, as by default.
	Quick bool

	TLS      *Certificates // clients must use TLS; nil: they must not
	Password bool          // clients must say who they are; at first the superuser cassandra, password cassandra
}

// Cassandra is a running node. Its methods must not be called at the same time.
type Cassandra struct {
	process
	options CassandraOptions
	port    int
	remove  bool
}

//go:embed cassandra.yaml.tmpl jvm.options logback.xml
var cassandraFiles embed.FS

// StartCassandra starts a node and returns when it answers.
func StartCassandra(ctx context.Context, o CassandraOptions) (*Cassandra, error) {
	o.Version = chosen(o.Version, "E2E_CASSANDRA", Cassandra50)
	java, err := java()
	if err != nil {
		return nil, err
	}
	lib, err := Download(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c := &Cassandra{options: o, port: ports[0], remove: o.Dir == "", process: process{java: java}}
	if c.dir, err = home(o.Dir); err != nil {
		return nil, err
	}
	if err := c.configure(lib, ports); err != nil {
		return nil, errors.Join(fmt.Errorf("cassandra: %w", err), c.Close())
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// configure writes the node's directory.
func (c *Cassandra) configure(lib string, ports []int) error {
	agents, err := filepath.Glob(filepath.Join(lib, "jamm-*.jar"))
	if err != nil || len(agents) != 1 {
		return fmt.Errorf("there is not one jamm-*.jar in %s", lib)
	}
	yaml, err := template.ParseFS(cassandraFiles, "cassandra.yaml.tmpl")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	values := struct {
		Dir                  string
		Port, Storage, SSL   int
		Password, Quick      bool
		Keystore, Truststore string
	}{Dir: c.dir, Port: ports[0], Storage: ports[1], SSL: ports[2], Password: c.options.Password, Quick: c.options.Quick}
	if c.options.TLS != nil {
		values.Keystore, values.Truststore = c.options.TLS.server, c.options.TLS.CA
	}
	if err := yaml.Execute(&text, values); err != nil {
		return err
	}
	logback, err := cassandraFiles.ReadFile("logback.xml")
	if err != nil {
		return err
	}
	options, err := cassandraFiles.ReadFile("jvm.options")
	if err != nil {
		return err
	}
	conf, tmp := filepath.Join(c.dir, "conf"), filepath.Join(c.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	c.args = strings.Fields(string(options))
	if c.options.Quick {
		c.args = append(c.args, "-Xmx2g", "-XX:TieredStopAtLevel=4") // the last one counts
	}
	c.args = append(c.args,
		"-javaagent:"+agents[0], "-Djava.io.tmpdir="+tmp, "-Dcassandra.storagedir="+c.dir,
		"-Dcassandra.config=file://"+filepath.Join(conf, "cassandra.yaml"),
		"-cp", conf+string(os.PathListSeparator)+filepath.Join(lib, "*"), "org.apache.cassandra.service.CassandraDaemon")
	return files(conf, map[string]string{"cassandra.yaml": text.String(), "logback.xml": string(logback)})
}

// Addr is the node's address for clients, host:port.
func (c *Cassandra) Addr() string { return local(c.port) }

// Start starts the node again and returns when it answers.
func (c *Cassandra) Start(ctx context.Context) error {
	if err := c.start(); err != nil {
		return fmt.Errorf("cassandra: start: %w", err)
	}
	if err := c.ready(ctx, c.ask); err != nil {
		return fmt.Errorf("cassandra: start: %w", err)
	}
	return nil
}

// Kill ends the node by SIGKILL.
func (c *Cassandra) Kill() { c.kill() }

// Stop ends the node by SIGTERM.
func (c *Cassandra) Stop() error {
	if err := c.stop(); err != nil {
		return fmt.Errorf("cassandra: stop: %w", err)
	}
	return nil
}

// Pause freezes the node by SIGSTOP: its connections stay open and say nothing.
func (c *Cassandra) Pause() { c.signal(syscall.SIGSTOP) }

// Resume lets a frozen node go on.
func (c *Cassandra) Resume() { c.signal(syscall.SIGCONT) }

// LogTail is the end of the node's log.
func (c *Cassandra) LogTail() string { return "last lines of Cassandra:\n" + c.tail() }

// Close ends the node at once.
func (c *Cassandra) Close() error {
	c.kill()
	if c.remove {
		return os.RemoveAll(c.dir)
	}
	return nil
}

// Session opens a client's session with the node, as its superuser.
func (c *Cassandra) Session() (*gocql.Session, error) {
	cluster := gocql.NewCluster("127.0.0.1")
	cluster.Port = c.port
	cluster.DisableInitialHostLookup = true
	cluster.Timeout, cluster.ConnectTimeout = 5*time.Second, 5*time.Second
	cluster.Logger = log.New(new(bytes.Buffer), "", 0)
	cluster.ReconnectInterval = 0
	if c.options.Password {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: "cassandra", Password: "cassandra"}
	}
	if c.options.TLS != nil {
		client, err := c.options.TLS.Client()
		if err != nil {
			return nil, err
		}
		cluster.SslOpts = &gocql.SslOptions{Config: client, EnableHostVerification: true}
	}
	return cluster.CreateSession()
}

// ask sends a client's request.
func (c *Cassandra) ask(ctx context.Context) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	defer s.Close()
	var version string
	return s.Query("SELECT release_version FROM system.local").WithContext(ctx).Scan(&version)
}
