package cassandra

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/storage"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	good := Options{Hosts: []string{"127.0.0.1:9042", "[::1]:9042"}, Keyspace: "clicks_1", User: "cassandra", Password: "cassandra"}.withDefaults()
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Options){
		"no hosts":        func(o *Options) { o.Hosts = nil },
		"write host:port": func(o *Options) { o.Hosts = []string{"10.0.0.1"} },
		"one port":        func(o *Options) { o.Hosts = []string{"127.0.0.1:1", "127.0.0.1:2"} },
		"a name is":       func(o *Options) { o.Keyspace = "Clicks; DROP" },
		"consistency":     func(o *Options) { o.Consistency = "any" },
		"every intruder":  func(o *Options) { o.Hosts = []string{"127.0.0.1:9042", "10.0.0.1:9042"} },
		"no user":         func(o *Options) { o.User = "" },
		"time to live":    func(o *Options) { o.CountsTTL = 21 * 365 * 24 * time.Hour },
		"can be negative": func(o *Options) { o.InFlight = -1 },
		"at least 1s":     func(o *Options) { o.RankingsTTL = time.Millisecond },
		"at most 20":      func(o *Options) { o.LineageTTL = 21 * 365 * 24 * time.Hour },
	} {
		o := good
		change(&o)
		if err := o.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestServersMustProveTheirName(t *testing.T) {
	t.Parallel()
	o := Options{Hosts: []string{"127.0.0.1:9042"}, Keyspace: "a", TLS: TLS{Enabled: true, ServerName: "db.example"}}.withDefaults()
	c, err := o.cluster()
	if err != nil {
		t.Fatal(err)
	}
	if s := c.SslOpts; s == nil || !s.EnableHostVerification || s.InsecureSkipVerify || s.ServerName != "db.example" || s.MinVersion < tls.VersionTLS12 {
		t.Errorf("%+v", s)
	}
	o.TLS.CAFile = "options_test.go"
	if _, err := o.cluster(); err == nil {
		t.Error("a file without a certificate was taken")
	}
}

func TestReplication(t *testing.T) {
	t.Parallel()
	list, err := parseReplication([]string{"west:3", "east:a:2"})
	if err != nil || !slices.Equal(list, []replicas{{"east:a", 2}, {"west", 3}}) {
		t.Errorf("%v, %v", list, err)
	}
	if got, want := makeKeyspace("k", list), "CREATE KEYSPACE IF NOT EXISTS k WITH replication = "+
		"{'class': 'NetworkTopologyStrategy', 'east:a': 2, 'west': 3}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	there := map[string]string{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "west": "3", "east:a": "2"}
	if got := sayReplication(there); got != wantReplication(list) {
		t.Errorf("%s, want %s", got, wantReplication(list))
	}
	if got := sayReplication(map[string]string{"class": "SimpleStrategy", "replication_factor": "1"}); got != "SimpleStrategy,replication_factor:1" {
		t.Error(got)
	}
	for _, bad := range [][]string{nil, {"dc1"}, {":3"}, {"dc1:"}, {"dc1:0"}, {"dc1:-1"}, {"dc1:1x"}, {"dc'1:1"}, {"a:1", "a:2"}, {"a:99999999"}} {
		if list, err := parseReplication(bad); err == nil {
			t.Errorf("%q is %v", bad, list)
		}
	}
}

func TestErrorsOfTheDriver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err                error
		again, unavailable bool
	}{
		"no answer":          {gocql.ErrTimeoutNoResponse, false, true},
		"no node":            {gocql.ErrNoConnections, false, true},
		"connection cut":     {gocql.ErrConnectionClosed, true, true},
		"connection refused": {&net.OpError{Op: "write", Err: errors.New("broken pipe")}, true, true},
		"too few replicas":   {&gocql.RequestErrUnavailable{}, false, true},
		"closed":             {fmt.Errorf("x: %w", gocql.ErrSessionClosed), false, false},
		"no such host":       {&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, false, true},
	} {
		if name == "too few replicas" {
			c.again = true // its code is 0 here, the server's own error, which is tried again as well
		}
		if got := again(c.err); got != c.again {
			t.Errorf("%s: again is %v", name, got)
		}
		if got := errors.Is(translate(c.err), storage.ErrUnavailable); got != c.unavailable {
			t.Errorf("%s: %v", name, translate(c.err))
		}
	}
}
