package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/stream/streamtest"
)

// TestStreamContract: a real Kafka keeps the promises that the stages build on.
func TestStreamContract(t *testing.T) {
	t.Parallel()
	addrs := kafkaServer(t).Addrs()
	for _, codec := range []kafka.Codec{kafka.None, kafka.LZ4, kafka.Zstd} {
		t.Run(codec.String(), func(t *testing.T) {
			t.Parallel()
			streamtest.Run(t, func(t *testing.T) (stream.Log, func(*testing.T, int32) string, func(*testing.T, string)) {
				o := look(t, addrs)
				l := openLog(t, addrs, kafka.Config{
					Compression:       func(string) kafka.Codec { return codec },
					RequireAppendTime: func(string) bool { return true },
				})
				remake := func(t *testing.T, topic string) {
					was, err := l.Topic(t.Context(), topic)
					if err != nil {
						t.Fatal(err)
					}
					o.remove(topic)
					o.create(topic, was.Partitions, nil)
				}
				return l, func(_ *testing.T, partitions int32) string { return o.newTopic(partitions, nil) }, remake
			})
		})
	}
}

// openLog opens a cluster as clickagg does.
func openLog(t *testing.T, addrs []string, cfg kafka.Config) *kafka.Log {
	t.Helper()
	cfg.Brokers, cfg.ClientID = addrs, "e2e"
	l, err := kafka.Open(limited(t), cfg, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestTransactions: of what producers write in transactions exactly the committed
// records are read, from whatever offset, and nothing behind one that is open.
func TestTransactions(t *testing.T) {
	t.Parallel()
	addrs := kafkaServer(t).Addrs()
	o := look(t, addrs)
	topic := o.newTopic(1, nil)
	want := writeTransactions(o, topic)
	stable, endOpen := o.transaction(topic, "e", "e1", "e2")
	behind := o.put(topic, "behind")

	// Small fetches, so that transactions lie across several.
	l := openLog(t, addrs, kafka.Config{FetchBytes: 2 << 10, RequireAppendTime: func(string) bool { return true }})
	o.stableUntil(l, topic, stable)
	all := readTo(t, l, topic, 0, stable, behind+1)
	if same(t, "all", texts(all), strings.Join(want, "\n")); all[len(all)-1].Value != nil {
		t.Errorf("the tombstone has the value %q", all[len(all)-1].Value)
	}
	for from := int64(1); from < stable; from++ {
		for len(all) > 0 && all[0].Offset < from {
			all = all[1:]
		}
		same(t, fmt.Sprint("from ", from), texts(readTo(t, l, topic, from, stable, behind+1)), texts(all))
	}

	endOpen(kgo.TryCommit)
	end := behind + 2 // with the commit's marker
	o.stableUntil(l, topic, end)
	same(t, "the rest", texts(readTo(t, l, topic, stable, end, end)), "e1\ne2\nbehind")
}

// writeTransactions fills a topic and returns what a reader may see of it.
func writeTransactions(o *looker, topic string) (committed []string) {
	big := strings.Repeat("x", 3000)
	seen := func(values ...string) []string {
		committed = append(committed, values...)
		return values
	}
	whole := func(how kgo.TransactionEndTry, id string, values ...string) {
		_, end := o.transaction(topic, id, values...)
		end(how)
	}
	o.put(topic, seen("before 1", "before 2")...)
	whole(kgo.TryCommit, "a", seen("a1", "a2"+big)...)
	whole(kgo.TryAbort, "b", "never b1", "never b2"+big)
	_, endC := o.transaction(topic, "c", seen("c1", "c2")...) // c and d are open at the same time
	_, endD := o.transaction(topic, "d", "never d1"+big, "never d2")
	o.put(topic, seen("between")...)
	endD(kgo.TryAbort)
	endC(kgo.TryCommit)
	whole(kgo.TryAbort, "b", "never b3") // the same producer again, in a new epoch
	whole(kgo.TryCommit, "b", seen("b4")...)
	o.produce(&kgo.Record{Topic: topic, Key: []byte("tombstone")})
	seen("")
	return committed
}

// stableUntil waits until the log says that readers may read to an offset: the
// marker of a transaction's end may come after the end is acknowledged.
func (o *looker) stableUntil(l *kafka.Log, topic string, end int64) {
	o.t.Helper()
	o.settle("bounds", func(ctx context.Context) error {
		_, e, err := l.Bounds(ctx, topic, 0)
		if err == nil && e != end {
			err = fmt.Errorf("it is stable until %d, not %d", e, end)
		}
		return err
	})
}

// readTo reads a partition from one offset to where its readers must stop, of which
// they are told that records are acknowledged up to another.
func readTo(t *testing.T, l *kafka.Log, topic string, from, end, acknowledged int64) (records []click.Record) {
	t.Helper()
	ctx := limited(t)
	r, err := l.Open(ctx, topic, 0, stream.At(from))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for next := from; next < end; {
		b, err := r.Read(ctx, time.Second)
		if err != nil || b.Next > end || b.End != acknowledged {
			t.Fatalf("from %d: %+v, %v; the log is stable until %d and acknowledged until %d", from, b, err, end, acknowledged)
		}
		for _, rec := range b.Records {
			rec.Value = bytes.Clone(rec.Value)
			records = append(records, rec)
		}
		next = b.Next
	}
	return records
}

// texts are the records' values, one a line.
func texts(records []click.Record) string {
	var values []string
	for _, r := range records {
		values = append(values, string(r.Value))
	}
	return strings.Join(values, "\n")
}

// A broker's clock is known from its answers, whatever this machine's clock says.
func TestBrokerTime(t *testing.T) {
	ctx := limited(t)
	addrs := kafkaServer(t).Addrs()
	log, err := kafka.Open(ctx, kafka.Config{Brokers: addrs}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	name := fmt.Sprintf("broker-time-%d", time.Now().UnixNano())
	spec := kafka.TopicSpec{Name: name, Partitions: 1, Replication: 1, Configs: map[string]string{"message.timestamp.type": "LogAppendTime"}}
	if err := log.CreateTopics(ctx, []kafka.TopicSpec{spec}); err != nil {
		t.Fatal(err)
	}
	if at, ok := log.BrokerTime(time.Now()); ok {
		t.Errorf("before anything was appended the broker's time is %s", at)
	}
	before := time.Now()
	if err := log.Append(ctx, name, []stream.Message{{Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	// The broker is on this machine: its clock is ours, to the millisecond that it counts in.
	after := time.Now()
	got, ok := log.BrokerTime(after)
	if !ok || got.Before(before.Add(-time.Millisecond)) || got.After(after.Add(time.Millisecond)) {
		t.Errorf("the broker's time is %s, %t; it is between %s and %s", got, ok, before, after)
	}
	if later, _ := log.BrokerTime(after.Add(time.Hour)); later.Sub(got) != time.Hour {
		t.Errorf("an hour later it is %s", later)
	}
}
