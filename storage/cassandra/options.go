package cassandra

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
	"go.uber.org/zap"
)

// Options say where the store is and how it is used. Hosts, Keyspace and
// Replication have no default; the zero value of everything else is a good one.
type Options struct {
	Hosts       []string // host:port of some nodes, all with the same port
	Keyspace    string   // letters, digits and _, a letter first, at most 48
	Datacenter  string   // whose nodes are asked; empty is that of the first host reached
	Replication []string // dc:replicas, for every data centre that keeps rows
	Consistency string   // of reads and writes; empty is local_quorum

	User, Password string // empty: no authentication
	TLS            TLS

	CountsTTL   time.Duration // how long counts live after they were written; 0 is for ever
	RankingsTTL time.Duration // the same for ranked lists
	LineageTTL  time.Duration // the same for what the counts are made of
	RawTTL      time.Duration // the same for raw records

	InFlight int           // most requests of Apply under way at once; 0 is 128
	Tuning   Tuning        // how rows become requests
	Timeout  time.Duration // after which a request is given up; 0 is 10 s

	// Owner names the installation whose results these are. Versions count anew in
	// another one, so a store that has an owner is refused to any other. Empty is a
	// reader that is nobody.
	Owner  string
	Logger *zap.Logger // nil logs nothing
}

// Tuning is how rows become requests. What a zero stands for was measured to be best:
// make bench-writer, and docs/decisions/0006-cassandra-tables.md.
type Tuning struct {
	RowsPerPartition int  // most rows of one partition in one request; 0 is 100
	RowsPerNode      int  // most rows of as many partitions in one request; 0 is 10; servers complain of more
	Connections      int  // to each node; 0 is 2
	Compress         bool // what goes over the wire, with snappy
}

// TLS encrypts the connections. A server must prove its name; there is no way
// to do without.
type TLS struct {
	Enabled           bool
	CAFile            string // PEM; empty trusts the system's authorities
	CertFile, KeyFile string // PEM, of the client; empty shows none
	ServerName        string // in the server's certificate; empty is the address it is called by
}

func (o Options) withDefaults() Options {
	if o.Consistency == "" {
		o.Consistency = "local_quorum"
	}
	if o.InFlight == 0 {
		o.InFlight = 128
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Tuning.RowsPerPartition = cmp.Or(o.Tuning.RowsPerPartition, rowsPerPartition)
	o.Tuning.RowsPerNode = cmp.Or(o.Tuning.RowsPerNode, rowsPerNode)
	o.Tuning.Connections = cmp.Or(o.Tuning.Connections, connections)
	return o
}

// consistencies are those that may be chosen. Any promises nothing and the
// serial ones are for other things.
var consistencies = map[string]gocql.Consistency{
	"one": gocql.One, "two": gocql.Two, "three": gocql.Three, "quorum": gocql.Quorum, "all": gocql.All,
	"local_quorum": gocql.LocalQuorum, "each_quorum": gocql.EachQuorum, "local_one": gocql.LocalOne,
}

// keyspaceName is what needs no quotes in CQL.
var keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// maxTTL is the longest Cassandra takes: twenty years.
const maxTTL = 630_720_000 * time.Second

// check finds what cannot work whatever the servers say.
func (o Options) check() error {
	hosts, _, err := splitHosts(o.Hosts)
	if err != nil {
		return err
	}
	switch {
	case !keyspaceName.MatchString(o.Keyspace):
		return fmt.Errorf("keyspace %q: a name is lower-case letters, digits and _, begins with a letter, and has at most 48", o.Keyspace)
	case o.InFlight < 0 || o.Timeout < 0:
		return fmt.Errorf("in flight %d, timeout %v: neither can be negative", o.InFlight, o.Timeout)
	case o.Tuning.RowsPerPartition < 0 || o.Tuning.RowsPerNode < 0 || o.Tuning.Connections < 0:
		return fmt.Errorf("tuning %+v: nothing of it can be negative", o.Tuning)
	case o.User == "" && o.Password != "":
		return errors.New("there is a password, but no user")
	case o.User == "cassandra" && o.Password == "cassandra" && !slices.ContainsFunc(hosts, notLoopback):
	case o.User == "cassandra" && o.Password == "cassandra":
		return errors.New("user cassandra with password cassandra is what every intruder tries: make a role of its own for clickagg")
	}
	if _, ok := consistencies[o.Consistency]; !ok {
		return fmt.Errorf("consistency %q: there are one, two, three, quorum, all, local_one, local_quorum, each_quorum", o.Consistency)
	}
	for _, ttl := range []time.Duration{o.CountsTTL, o.RankingsTTL, o.LineageTTL, o.RawTTL} {
		if ttl < 0 || ttl > maxTTL || ttl != 0 && ttl < time.Second {
			return fmt.Errorf("time to live %v: it is at least 1s and at most 20 years (%v), or 0 for ever", ttl, maxTTL)
		}
	}
	return nil
}

// notLoopback tells whether a host may be another machine. A name other than
// localhost may.
func notLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host != "localhost" && (err != nil || !ip.IsLoopback())
}

// splitHosts takes hosts apart. The driver knows one port for all nodes.
func splitHosts(hosts []string) (names []string, port int, err error) {
	if len(hosts) == 0 {
		return nil, 0, errors.New("no hosts")
	}
	for _, h := range hosts {
		name, p, err := net.SplitHostPort(h)
		if err != nil {
			return nil, 0, fmt.Errorf("host %q: write host:port, as in 10.0.0.1:9042", h)
		}
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 || name == "" {
			return nil, 0, fmt.Errorf("host %q: write host:port, as in 10.0.0.1:9042", h)
		}
		if port != 0 && port != int(n) {
			return nil, 0, fmt.Errorf("host %q: all hosts have one port, the first has %d", h, port)
		}
		names, port = append(names, name), int(n)
	}
	return names, port, nil
}

// replicas is how many nodes of one data centre keep a row.
type replicas struct {
	dc string
	n  int
}

// parseReplication reads dc:replicas.
func parseReplication(list []string) ([]replicas, error) {
	if len(list) == 0 {
		return nil, errors.New("no replication: write dc:replicas for every data centre that keeps rows, as in dc1:3")
	}
	var out []replicas
	for _, text := range list {
		at := strings.LastIndexByte(text, ':')
		if at <= 0 {
			return nil, fmt.Errorf("replication %q: write dc:replicas, as in dc1:3", text)
		}
		n, err := strconv.ParseUint(text[at+1:], 10, 31)
		if err != nil || n == 0 || n > math.MaxInt16 {
			return nil, fmt.Errorf("replication %q: write dc:replicas, as in dc1:3", text)
		}
		r := replicas{text[:at], int(n)}
		if strings.ContainsAny(r.dc, "'\n") {
			return nil, fmt.Errorf("replication %q: no data centre has such a name", text)
		}
		if slices.ContainsFunc(out, func(o replicas) bool { return o.dc == r.dc }) {
			return nil, fmt.Errorf("replication %q: data centre %s is there twice", text, r.dc)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b replicas) int { return strings.Compare(a.dc, b.dc) })
	return out, nil
}
