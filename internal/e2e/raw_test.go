package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/cassandra"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

func TestCassandraRawContract(t *testing.T) {
	t.Parallel()
	server := cassandraServer(t)
	const places = 2
	empty := make(chan cassandra.Options, places)
	for range places {
		o := keyspace(server.Addr())
		applySchema(t, o)
		empty <- o
	}
	look := superuser(t, server)
	storagetest.RunRaw(t, func(t *testing.T) (storage.RawStore, func() storage.RawStore, func() error) {
		o := <-empty
		t.Cleanup(func() {
			for _, table := range []string{"raw", "raw_buckets"} {
				if err := look.Query("TRUNCATE " + o.Keyspace + "." + table).Exec(); err != nil {
					t.Errorf("empty %s: %v", table, err)
				}
			}
			empty <- o
		})
		s := openStore(t, o)
		return s.Raw(), func() storage.RawStore {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = openStore(t, o)
			return s.Raw()
		}, func() error { return s.Close() }
	})
}

// oddities are records that are no clicks, and a click.
func oddities() []stream.Message {
	return []stream.Message{
		{Value: []byte(`{"event_id":"e","ad_id":"a","ts":1700000000000}`)},
		{Key: []byte("k"), Value: []byte("garbage \x00\xff"), Headers: []click.Header{{Key: "h", Value: []byte{0, 255}}, {Key: "null"}, {Key: "h", Value: []byte{}}}},
		{Key: []byte("tombstone")},
		{},
		{Key: []byte{}, Value: []byte{}},
		{Value: bytes.Repeat([]byte("large"), 150_000)},
	}
}

// sendRaw appends records of all kinds to every partition of a topic.
func sendRaw(ctx context.Context, t *testing.T, log *kafka.Log, topic string, partitions int32, many int, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	for p := range partitions {
		messages := oddities()
		for i := range many {
			messages = append(messages, stream.Message{Value: fmt.Appendf(nil, `{"event_id":"%d-%d","ad_id":"ad-%d","ts":%d}`, seed, i, rng.IntN(50), time.Now().UnixMilli())})
		}
		for i := range messages {
			messages[i].Partition = p
		}
		for part := range slices.Chunk(messages, 500) {
			if err := log.Append(ctx, topic, part); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// rawIsLog waits until a raw store has exactly what a topic has, and fails at the
// first record that is another one.
func rawIsLog(ctx context.Context, c *cluster, log *kafka.Log, raw storage.RawStore) (records int) {
	c.t.Helper()
	topic, err := log.Topic(ctx, c.input())
	if err != nil {
		c.t.Fatal(err)
	}
	for p := range topic.Partitions {
		src := click.Source{Topic: topic.Name, ID: topic.ID, Partition: p}
		want := readAll(ctx, c.t, log, topic.Name, p)
		c.eventually(ctx, "raw records of "+src.String(), func() error {
			var got []click.Record
			err := raw.Read(ctx, src, 0, want[len(want)-1].Offset+1000, func(r *click.Record) error {
				got = append(got, ownRecord(r))
				return nil
			})
			if err == nil && len(got) < len(want) {
				err = fmt.Errorf("%d of %d are stored", len(got), len(want))
			}
			if err == nil && !slices.EqualFunc(got, want, storagetest.SameRecord) {
				c.t.Fatalf("partition %d: what is stored is not what the log has", p)
			}
			return err
		})
		records += len(want)
	}
	return records
}

func ownRecord(r *click.Record) click.Record {
	own := *r
	own.Key, own.Value, own.Headers.Raw = bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.Headers.Raw)
	return own
}

func readAll(ctx context.Context, t testing.TB, log *kafka.Log, topic string, partition int32) (records []click.Record) {
	t.Helper()
	eachRecord(ctx, t, log, topic, partition, func(r *click.Record) { records = append(records, ownRecord(r)) })
	return records
}

// eachRecord reads a partition up to its end.
func eachRecord(ctx context.Context, t testing.TB, log *kafka.Log, topic string, partition int32, f func(*click.Record)) {
	t.Helper()
	_, end, err := log.Bounds(ctx, topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	in, err := log.Open(ctx, topic, partition, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	for next := int64(0); next < end; {
		b, err := in.Read(ctx, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Records {
			f(&b.Records[i])
		}
		next = b.Next
	}
}

// TestRawRole keeps clicks, garbage and tombstones in Cassandra, byte for byte and with
// the broker's time, while its two processes are killed and started again.
func TestRawRole(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "")
	log := c.dial(ctx)
	topic, err := log.Topic(ctx, c.input())
	if err != nil {
		t.Fatal(err)
	}
	sendRaw(ctx, t, log, c.input(), topic.Partitions, 2_000, 1)
	first, second := c.add("raw"), c.add("raw")
	for i := range uint64(4) {
		sendRaw(ctx, t, log, c.input(), topic.Partitions, 3_000, 2+i)
		victim := first
		if i%2 == 1 {
			victim = second
		}
		victim.kill()
		victim.start()
	}
	sendRaw(ctx, t, log, c.input(), topic.Partitions, 5_000, 9)
	o := keyspace(cassandraServer(t).Addr())
	o.Keyspace = c.name
	raw := openStore(t, o).Raw()
	n := rawIsLog(ctx, c, log, raw)
	sources, err := raw.Sources(ctx)
	if err != nil || len(sources) != int(topic.Partitions) || n < 19_000*int(topic.Partitions) {
		t.Errorf("%d records, %v, %v", n, sources, err)
	}
	// Case: told to stop, each remembers all it has stored.
	for _, m := range []*member{first, second} {
		if status := m.stop(ctx); status != 0 {
			t.Errorf("%s ended with status %d", m.name, status)
		}
	}
	for p := range topic.Partitions {
		at, ok, err := log.Committed(ctx, c.name+".raw", c.input(), p)
		_, end, berr := log.Bounds(ctx, c.input(), p)
		if err != nil || berr != nil || !ok || at.Offset != end {
			t.Errorf("partition %d is committed up to %+v, %t, of %d: %v, %v", p, at, ok, end, err, berr)
		}
	}
}

// TestRawInDataDir: without Cassandra the role keeps records in its data directory.
func TestRawInDataDir(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "")
	log := c.dial(ctx)
	sendRaw(ctx, t, log, c.input(), 1, 3_000, 1)
	m := c.add("raw", "--cassandra.hosts", "")
	c.eventually(ctx, "committed", func() error {
		_, end, err := log.Bounds(ctx, c.input(), 0)
		at, _, cerr := log.Committed(ctx, c.name+".raw", c.input(), 0)
		if err != nil || cerr != nil || at.Offset < end {
			return fmt.Errorf("%d of %d, %v, %v", at.Offset, end, err, cerr)
		}
		return nil
	})
	if status := m.stop(ctx); status != 0 {
		t.Fatalf("ended with status %d", status)
	}
	s, err := embedded.Open(filepath.Join(c.dir, m.name, "raw"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	topic, err := log.Topic(ctx, c.input())
	if err != nil {
		t.Fatal(err)
	}
	var got []click.Record
	src := click.Source{Topic: topic.Name, ID: topic.ID}
	if err := s.Raw().Read(ctx, src, 0, 1<<40, func(r *click.Record) error { got = append(got, ownRecord(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := readAll(ctx, t, log, topic.Name, 0); !slices.EqualFunc(got, want, storagetest.SameRecord) {
		t.Errorf("%d records are not the %d of the log", len(got), len(want))
	}
}
