package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestDownload is what make servers runs ahead of the other tests.
func TestDownload(t *testing.T) {
	for _, version := range []string{chosen("", "E2E_KAFKA", Kafka41), chosen("", "E2E_CASSANDRA", Cassandra50)} {
		lib, err := Download(limited(t), version)
		if err != nil {
			t.Fatal(err)
		}
		if jars, err := os.ReadDir(lib); err != nil || len(jars) < 20 {
			t.Errorf("%s holds %d jars, %v", lib, len(jars), err)
		}
	}
	if _, err := Download(t.Context(), "kafka-0.7"); err == nil || !strings.Contains(err.Error(), "internal/servers/maven") {
		t.Errorf("a version that is not there: %v", err)
	}
}

func startKafka(t *testing.T, o KafkaOptions) *Kafka {
	t.Helper()
	k, err := StartKafka(limited(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(k.LogTail())
		}
	})
	return k
}

func client(t *testing.T, addrs []string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(addrs...), kgo.DefaultProduceTopic("t"), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestKafkaKilled: three brokers, one killed and started again, another stopped,
// keep what they acknowledged.
func TestKafkaKilled(t *testing.T) {
	ctx := limited(t)
	k := startKafka(t, KafkaOptions{Brokers: 3, Dir: t.TempDir(), Properties: map[string]string{"num.partitions": "3"}})
	c := client(t, k.Addrs(), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("t"))
	put := func(v string) {
		t.Helper()
		if err := c.ProduceSync(ctx, kgo.StringRecord(v)).FirstErr(); err != nil {
			t.Fatalf("%s: %v", v, err)
		}
	}
	put("all")
	k.Kill(0)
	put("one killed")
	if err := k.Start(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := k.Stop(1); err != nil {
		t.Fatal(err)
	}
	put("another stopped")
	if conn, err := net.Dial("tcp", k.Addrs()[1]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped broker is reached: %v, %v", conn, err)
	}
	left := 3
	for left > 0 {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records are missing", left)
		}
		left -= f.NumRecords()
	}
	if left < 0 {
		t.Errorf("%d records are there twice", -left)
	}
	if err := k.Start(ctx, 0); !errors.Is(err, errRuns) {
		t.Errorf("a second start: %v", err)
	}
}

// TestKafkaSecure: who may come in comes in, and nobody else.
func TestKafkaSecure(t *testing.T) {
	ctx := limited(t)
	certificates, err := MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k := startKafka(t, KafkaOptions{Secure: &KafkaSecurity{
		Certificates: certificates, Users: map[string]string{"ann": "ann's word"}, ClientCert: true,
	}})
	known, err := certificates.Client()
	if err != nil {
		t.Fatal(err)
	}
	nameless := &tls.Config{RootCAs: known.RootCAs}
	comes := func(addr string, config *tls.Config, m sasl.Mechanism) error {
		options := []kgo.Opt{kgo.DialTLSConfig(config), kgo.RequestRetries(0), kgo.RetryTimeout(0)}
		if m != nil {
			options = append(options, kgo.SASL(m))
		}
		return client(t, []string{addr}, options...).Ping(ctx)
	}
	right, wrong := scram.Auth{User: "ann", Pass: "ann's word"}, scram.Auth{User: "ann", Pass: "a guess"}
	for _, c := range []struct {
		what string
		err  error
		in   bool
	}{
		{"TLS, with a certificate", comes(k.TLSAddrs()[0], known, nil), true},
		{"TLS, without", comes(k.TLSAddrs()[0], nameless, nil), false},
		{"TLS, of another authority", comes(k.TLSAddrs()[0], &tls.Config{}, nil), false},
		{"PLAIN", comes(k.SASLAddrs()[0], nameless, plain.Auth{User: "ann", Pass: "ann's word"}.AsMechanism()), true},
		{"PLAIN, wrong", comes(k.SASLAddrs()[0], nameless, plain.Auth{User: "ann", Pass: "a guess"}.AsMechanism()), false},
		{"SCRAM-SHA-256", comes(k.SASLAddrs()[0], nameless, right.AsSha256Mechanism()), true},
		{"SCRAM-SHA-512", comes(k.SASLAddrs()[0], nameless, right.AsSha512Mechanism()), true},
		{"SCRAM-SHA-512, wrong", comes(k.SASLAddrs()[0], nameless, wrong.AsSha512Mechanism()), false},
		{"no password", comes(k.SASLAddrs()[0], nameless, nil), false},
	} {
		if c.in != (c.err == nil) {
			t.Errorf("%s: comes in %t: %v", c.what, c.err == nil, c.err)
		}
	}
}

func startCassandra(t *testing.T, o CassandraOptions) *Cassandra {
	t.Helper()
	c, err := StartCassandra(limited(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(c.LogTail())
		}
	})
	return c
}

// query runs a statement, and reads its only row into result if there is one.
func (c *Cassandra) query(t *testing.T, statement string, result ...any) {
	t.Helper()
	s, err := c.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	q := s.Query(statement).WithContext(limited(t))
	if len(result) > 0 {
		err = q.Scan(result...)
	} else {
		err = q.Exec()
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// TestCassandraKilled: a node that is killed keeps what it acknowledged; one that
// is frozen does not answer.
func TestCassandraKilled(t *testing.T) {
	ctx := limited(t)
	certificates, err := MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := startCassandra(t, CassandraOptions{Dir: t.TempDir(), TLS: &certificates, Password: true})
	c.query(t, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	c.query(t, "CREATE TABLE k.t (id int PRIMARY KEY, v text)")
	c.query(t, "INSERT INTO k.t (id, v) VALUES (1, 'kept')")
	c.Kill()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	var v string
	if c.query(t, "SELECT v FROM k.t WHERE id = 1", &v); v != "kept" {
		t.Errorf("it kept %q", v)
	}
	c.Pause()
	soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	config, err := certificates.Client()
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := (&tls.Dialer{Config: config}).DialContext(soon, "tcp", c.Addr()); err == nil {
		t.Error("a frozen node answers", conn.Close())
	}
	c.Resume()
	c.query(t, "SELECT v FROM k.t WHERE id = 1", &v)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
}

// TestFails: a server that cannot start says why.
func TestFails(t *testing.T) {
	_, err := StartKafka(limited(t), KafkaOptions{Properties: map[string]string{"log.retention.hours": "soon"}})
	if err == nil || !strings.Contains(err.Error(), "log.retention.hours") {
		t.Errorf("a broken configuration: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := StartCassandra(t.Context(), CassandraOptions{}); err == nil || !strings.Contains(err.Error(), "openjdk-17-jdk-headless") {
		t.Errorf("no Java: %v", err)
	}
}
