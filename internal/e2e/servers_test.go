package e2e

import (
	"context"
	"sync"
	"testing"

	"github.com/clickagg/clickagg/internal/servers"
)

// shared are servers that many tests use at the same time. Each is started by the
// first test that asks for it, and closed after the last test. A test that kills
// its server starts one of its own.
type shared[S interface {
	Close() error
	LogTail() string
}] struct {
	start func(context.Context) (S, error)

	once    sync.Once
	started bool
	server  S
	err     error
}

var (
	sharedKafka = &shared[*servers.Kafka]{start: func(ctx context.Context) (*servers.Kafka, error) {
		return servers.StartKafka(ctx, servers.KafkaOptions{})
	}}
	sharedCassandra = &shared[*servers.Cassandra]{start: func(ctx context.Context) (*servers.Cassandra, error) {
		return servers.StartCassandra(ctx, servers.CassandraOptions{})
	}}
)

// kafkaServer is a broker of the whole run: use topics and groups that no other
// test uses.
func kafkaServer(t testing.TB) *servers.Kafka { return sharedKafka.get(t) }

// cassandraServer is a store of the whole run: use a keyspace that no other test
// uses.
func cassandraServer(t testing.TB) *servers.Cassandra { return sharedCassandra.get(t) }

// closeServers ends what was started, after the last test.
func closeServers() {
	sharedKafka.close()
	sharedCassandra.close()
}

func (s *shared[S]) get(t testing.TB) S {
	t.Helper()
	// Not the context of this test: the server lives longer.
	s.once.Do(func() {
		s.server, s.err = s.start(context.Background())
		s.started = s.err == nil
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.server.LogTail())
		}
	})
	return s.server
}

func (s *shared[S]) close() {
	if s.started {
		_ = s.server.Close()
	}
}
