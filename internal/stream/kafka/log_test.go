package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// readAll reads a partition to its end.
func readAll(t testing.TB, l *kafka.Log, topic string) (all []click.Record) {
	t.Helper()
	r, err := l.Open(t.Context(), topic, 0, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		b, err := r.Read(t.Context(), time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range b.Records {
			rec.Key, rec.Value, rec.Headers.Raw = bytes.Clone(rec.Key), bytes.Clone(rec.Value), bytes.Clone(rec.Headers.Raw)
			all = append(all, rec)
		}
		if b.Next == b.End {
			return all
		}
	}
}

func TestReadsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	l := openLog(t, b, kafka.Config{})
	for _, codec := range []kafkago.Compression{0, kafkago.Gzip, kafkago.Snappy, kafkago.Lz4, kafkago.Zstd} {
		topic := makeTopic(t, b, 1)
		transport := &kafkago.Transport{}
		w := &kafkago.Writer{
			Addr: kafkago.TCP(b.Addr()), Topic: topic, Compression: codec, BatchTimeout: time.Millisecond, Transport: transport,
			RequiredAcks: kafkago.RequireAll,
		}
		var want []string
		for batch := range 3 {
			var ms []kafkago.Message
			for i := range 100 {
				v := fmt.Sprint("value ", batch, i)
				want = append(want, v)
				ms = append(ms, kafkago.Message{
					Key: []byte("k"), Value: []byte(v), Headers: []kafkago.Header{{Key: "h", Value: []byte(v)}},
				})
			}
			if err := w.WriteMessages(t.Context(), ms...); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		transport.CloseIdleConnections()
		var got []string
		for i, r := range readAll(t, l, topic) {
			h, _ := r.Headers.Get("h")
			if r.Offset != int64(i) || string(r.Key) != "k" || string(h) != string(r.Value) {
				t.Fatalf("%v: %+v", codec, r)
			}
			got = append(got, string(r.Value))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: read %d records, wrote %d", codec, len(got), len(want))
		}
	}
}

func TestOthersReadWhatItWrites(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	for _, codec := range []kafka.Codec{kafka.None, kafka.LZ4, kafka.Zstd} {
		topic := makeTopic(t, b, 1)
		l := openLog(t, b, kafka.Config{Compression: func(string) kafka.Codec { return codec }})
		err := l.Append(t.Context(), topic, []stream.Message{
			{Key: []byte("k"), Value: []byte("v"), Headers: []click.Header{{Key: "h", Value: []byte("x")}}}, {Value: []byte("w")},
		})
		if err != nil {
			t.Fatal(err)
		}
		r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{b.Addr()}, Topic: topic, MaxWait: 10 * time.Millisecond})
		for i, want := range []string{"v", "w"} {
			m, err := r.ReadMessage(t.Context())
			if err != nil || string(m.Value) != want || len(m.Headers) != 1-i {
				t.Errorf("%v: %+v, %v", codec, m, err)
			}
		}
		r.Close()
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	topic := makeTopic(t, b, 1)
	zeroes := openLog(t, b, kafka.Config{Compression: func(string) kafka.Codec { return kafka.Zstd }})
	if err := zeroes.Append(t.Context(), topic, []stream.Message{{Value: []byte("small")}}); err != nil {
		t.Fatal(err)
	}
	if err := zeroes.Append(t.Context(), topic, []stream.Message{{Value: make([]byte, 1<<20)}}); err != nil {
		t.Fatal(err)
	}
	if err := zeroes.Append(t.Context(), topic, []stream.Message{{Value: []byte("after")}}); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, b, kafka.Config{UnpackedBytes: 100 << 10})
	if err := l.Append(t.Context(), topic, []stream.Message{{Value: make([]byte, 101<<10)}}); !errors.Is(err, stream.ErrTooLarge) {
		t.Errorf("a message no reader takes: %v", err)
	}
	r, err := l.Open(t.Context(), topic, 0, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := r.Read(t.Context(), time.Minute); err != nil || len(got.Records) != 1 || got.Next != 1 {
		t.Fatalf("before the bomb: %+v, %v", got, err)
	}
	_, err = r.Read(t.Context(), time.Minute)
	var corrupt *stream.Corrupt
	if !errors.As(err, &corrupt) || corrupt.Topic != topic || corrupt.Start != 1 || corrupt.End != 2 {
		t.Fatalf("the bomb: %v", err)
	}
	if want := topic + "/0: offsets 1 to 1: corrupt record batch: zstd: batch unpacks to more than 102400 bytes"; err.Error() != want {
		t.Errorf("it says %q", err)
	}
	next, err := l.Open(t.Context(), topic, 0, stream.At(corrupt.End))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got, err := next.Read(t.Context(), time.Minute); err != nil || string(got.Records[0].Value) != "after" {
		t.Errorf("behind the bomb: %+v, %v", got, err)
	}
}

func TestSmallResponses(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	topic := makeTopic(t, b, 1)
	l := openLog(t, b, kafka.Config{FetchBytes: 1 << 10, BatchBytes: 1 << 10})
	var ms []stream.Message
	for i := range 300 {
		ms = append(ms, stream.Message{Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte("x"), i*20)})
	}
	if err := l.Append(t.Context(), topic, ms); err != nil {
		t.Fatal(err)
	}
	for i, r := range readAll(t, l, topic) {
		if string(r.Key) != fmt.Sprint(i) || len(r.Value) != i*20 {
			t.Fatalf("record %d is %s with %d bytes", i, r.Key, len(r.Value))
		}
	}
}

// proxy stands before a broker and can be cut.
type proxy struct {
	ln   net.Listener
	to   string
	work sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	dead  bool
}

func newProxy(t *testing.T, to string) *proxy {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: to}
	p.work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); p.cut(true); p.work.Wait() })
	return p
}

func (p *proxy) carry(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer s.Close()
	p.mu.Lock()
	dead := p.dead
	p.conns = append(p.conns, c, s)
	p.mu.Unlock()
	if dead {
		return
	}
	p.work.Go(func() { io.Copy(s, c); s.Close() })
	io.Copy(c, s)
}

// cut breaks all connections; while dead is true it takes no others.
func (p *proxy) cut(dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = dead
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	// The broker tells clients to come to the proxy: its address must be known first.
	hold, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := hold.Addr().String()
	hold.Close()
	p := newProxy(t, listen)
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: listen, Advertise: p.ln.Addr().String()}, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	topic := makeTopic(t, b, 1)
	l := openLog(t, b, kafka.Config{})
	r, err := l.Open(t.Context(), topic, 0, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	const n = 200
	var appending sync.WaitGroup
	appending.Go(func() {
		for i := range n {
			if err := l.Append(t.Context(), topic, []stream.Message{{Value: fmt.Append(nil, i)}}); err != nil {
				t.Error(err)
				return
			}
			if i%20 == 0 {
				p.cut(i%40 == 0)
				p.cut(false)
			}
			if err := l.Commit(t.Context(), "g", topic, 0, stream.Position{Offset: int64(i)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	// Each number comes, in order; a repeat after a lost acknowledgement is allowed.
	last := -1
	for last < n-1 {
		got, err := r.Read(t.Context(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range got.Records {
			var i int
			fmt.Sscan(string(rec.Value), &i)
			if i != last && i != last+1 {
				t.Fatalf("%d after %d", i, last)
			}
			last = i
		}
	}
	appending.Wait()
	if pos, ok, err := l.Committed(t.Context(), "g", topic, 0); err != nil || !ok || pos.Offset != n-1 {
		t.Errorf("position %+v, %t, %v", pos, ok, err)
	}
}

func TestNoBroker(t *testing.T) {
	t.Parallel()
	hold, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := hold.Addr().String()
	hold.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err = kafka.Open(ctx, kafka.Config{Brokers: []string{addr}}, quiet(t))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "check kafka.brokers") || !strings.Contains(fmt.Sprint(err), "refused") {
		t.Errorf("no broker: %v", err)
	}
	for _, cfg := range []kafka.Config{{}, {Brokers: []string{"nowhere"}}, {Brokers: []string{addr}, FetchBytes: 1}, {Brokers: []string{addr}, BatchBytes: -1}} {
		if l, err := kafka.Open(t.Context(), cfg, quiet(t)); err == nil {
			l.Close()
			t.Errorf("%+v opens", cfg)
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Config{})
	l := openLog(t, b, kafka.Config{})
	specs := []kafka.TopicSpec{{Name: "a", Partitions: 3, Configs: map[string]string{"retention.ms": "1000"}}, {Name: "b", Partitions: 1}}
	for range 2 {
		if err := l.CreateTopics(t.Context(), specs); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := l.Topic(t.Context(), "a"); err != nil || got.Partitions != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	err := l.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: "many", Partitions: 1, Replication: 5}, {Name: "c", Partitions: 1}})
	if err == nil || !strings.Contains(err.Error(), "many") {
		t.Errorf("too many replicas: %v", err)
	}
	if err := l.DeleteRecords(t.Context(), "none", 0, 1); !errors.Is(err, stream.ErrNoTopic) {
		t.Errorf("records of no topic: %v", err)
	}
	if err := l.Append(t.Context(), "b", []stream.Message{{Value: []byte("1")}, {Value: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	if err := l.DeleteRecords(t.Context(), "b", 0, 1); err != nil {
		t.Fatal(err)
	}
	if start, end, err := l.Bounds(t.Context(), "b", 0); err != nil || start != 1 || end != 2 {
		t.Errorf("bounds %d to %d, %v", start, end, err)
	}
	r, err := l.Open(t.Context(), "b", 0, stream.At(1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := r.Read(t.Context(), time.Minute); err != nil || len(got.Records) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := b.DeleteTopic("b"); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = r.Read(t.Context(), time.Second)
	}
	if !errors.Is(err, stream.ErrNoTopic) {
		t.Errorf("reading a deleted topic: %v", err)
	}
}
