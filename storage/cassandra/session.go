package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/storage"
)

// reconnectEvery is how long a node that came back may be left out.
const reconnectEvery = time.Second

// session is one driver's session and the policy that chooses nodes for it. A
// policy serves one session only.
type session struct {
	*gocql.Session
	policy   gocql.HostSelectionPolicy
	keyspace string
}

// dial opens a session in a keyspace, or in none. It looks first with a session
// that knows only the given hosts, because what the driver says of a data centre
// or a keyspace that is not there helps nobody.
func dial(ctx context.Context, o Options, keyspace string) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := o.cluster()
	if err != nil {
		return nil, err
	}
	if err := look(ctx, *c, &o, keyspace); err != nil {
		return nil, err
	}
	c.Keyspace = keyspace
	c.HostFilter = gocql.DataCentreHostFilter(o.Datacenter)
	c.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(o.Datacenter))
	s, err := create(*c)
	if err != nil {
		return nil, err
	}
	return &session{s, c.PoolConfig.HostSelectionPolicy, keyspace}, nil
}

// create opens a session. The driver makes one text of what went wrong on the way;
// the error of the last connection says what to do.
func create(c gocql.ClusterConfig) (*gocql.Session, error) {
	var seen lastFailure
	c.ConnectObserver = &seen
	s, err := c.CreateSession()
	if err == nil {
		return s, nil
	}
	if last := seen.err.Load(); last != nil {
		err = *last
	}
	if ended(err) { // by the driver's own clock
		return nil, fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return nil, translate(err)
}

// lastFailure remembers why a connection was not made.
type lastFailure struct{ err atomic.Pointer[error] }

// ObserveConnect implements gocql.ConnectObserver.
func (l *lastFailure) ObserveConnect(c gocql.ObservedConnect) {
	if c.Err != nil {
		l.err.Store(&c.Err)
	}
}

// look finds out which data centre to ask, and whether it and the keyspace are there.
func look(ctx context.Context, c gocql.ClusterConfig, o *Options, keyspace string) error {
	c.DisableInitialHostLookup = true
	c.NumConns = 1
	s, err := create(c)
	if err != nil {
		return err
	}
	defer s.Close()
	nodes, here, err := datacenters(ctx, s)
	if err != nil {
		return translate(err)
	}
	if o.Datacenter == "" {
		o.Datacenter = here
	}
	if nodes[o.Datacenter] == 0 {
		return fmt.Errorf("%w: no node is in data centre %q; there are %s", ErrUnfit, o.Datacenter, names(nodes))
	}
	if keyspace == "" {
		return nil
	}
	var found string
	err = s.Query(`SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?`, keyspace).WithContext(ctx).Scan(&found)
	if errors.Is(err, gocql.ErrNotFound) {
		return fmt.Errorf("%w: there is no keyspace %s: run 'clickagg schema apply'", ErrUnfit, keyspace)
	}
	return translate(err)
}

// datacenters counts the nodes of each, and says in which the asked one is.
func datacenters(ctx context.Context, s *gocql.Session) (nodes map[string]int, here string, err error) {
	if err := s.Query(`SELECT data_center FROM system.local`).WithContext(ctx).Consistency(gocql.One).Scan(&here); err != nil {
		return nil, "", err
	}
	nodes = map[string]int{here: 1}
	it := s.Query(`SELECT data_center FROM system.peers`).WithContext(ctx).Consistency(gocql.One).Iter()
	for dc := ""; it.Scan(&dc); {
		nodes[dc]++
	}
	return nodes, here, it.Close()
}

func names(nodes map[string]int) string {
	var out []string
	for dc := range nodes {
		out = append(out, dc)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// cluster is how the driver is set up for every session.
func (o Options) cluster() (*gocql.ClusterConfig, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	hosts, port, err := splitHosts(o.Hosts)
	if err != nil {
		return nil, err
	}
	c := gocql.NewCluster(hosts...)
	c.Port = port
	c.ProtoVersion = 4
	c.Timeout, c.ConnectTimeout, c.WriteTimeout = o.Timeout, o.Timeout, o.Timeout
	c.Consistency = consistencies[o.Consistency]
	c.SerialConsistency = gocql.Serial
	c.NumConns = o.Tuning.Connections
	if o.Tuning.Compress {
		c.Compressor = gocql.SnappyCompressor{}
	}
	c.SocketKeepalive = 15 * time.Second
	c.ReconnectInterval = reconnectEvery
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: reconnectEvery}
	c.DefaultIdempotence = true
	c.DefaultTimestamp = false // every write that needs one names its own
	c.Logger = driverLog{o.Logger.Named("cassandra").Sugar()}
	if o.User != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: o.User, Password: o.Password}
	}
	if o.TLS.Enabled {
		conf, warnings, err := secure.ClientTLS(secure.Files{
			CA: o.TLS.CAFile, Cert: o.TLS.CertFile, Key: o.TLS.KeyFile, ServerName: o.TLS.ServerName,
		}, time.Now())
		if err != nil {
			return nil, err
		}
		for _, w := range warnings {
			o.Logger.Warn("cassandra: " + w)
		}
		c.SslOpts = &gocql.SslOptions{Config: conf, EnableHostVerification: true}
	}
	return c, nil
}

// driverLog passes on what the driver says: it tells of every connection, and
// what matters comes back as an error anyway.
type driverLog struct{ *zap.SugaredLogger }

// Print implements gocql.StdLogger.
func (l driverLog) Print(v ...any) { l.Debug(v...) }

// Printf implements gocql.StdLogger.
func (l driverLog) Printf(format string, v ...any) { l.Debugf(strings.TrimSuffix(format, "\n"), v...) }

// Println implements gocql.StdLogger.
func (l driverLog) Println(v ...any) { l.Debugln(v...) }
