package embedded_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
)

func TestAppendTimeIsTheBrokers(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{Dir: t.TempDir(), Topics: []embedded.Topic{{Name: "clicks", Partitions: 1}}}
	b, stop := start(t, cfg)
	before := time.Now().Add(-time.Second).UnixMilli()
	w := &kafkago.Writer{Addr: kafkago.TCP(b.Addr()), Topic: "clicks", BatchTimeout: time.Millisecond, Transport: &kafkago.Transport{}}
	forged := time.Now().AddDate(10, 0, 0)
	for _, codec := range []kafkago.Compression{0, kafkago.Gzip, kafkago.Zstd} {
		w.Compression = codec
		err := w.WriteMessages(within(t), kafkago.Message{Value: []byte("a"), Time: forged}, kafkago.Message{Value: []byte("b"), Time: time.UnixMilli(1)})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	w.Transport.(*kafkago.Transport).CloseIdleConnections()
	after := time.Now().Add(time.Second).UnixMilli()

	check := func(b *embedded.Broker) {
		t.Helper()
		records, _ := all(t, connect(t, b), "clicks")
		if len(records) != 6 {
			t.Fatalf("%d records", len(records))
		}
		for _, r := range records {
			if r.Append < before || r.Append > after {
				t.Errorf("offset %d: append time %d is not between %d and %d", r.Offset, r.Append, before, after)
			}
		}
	}
	check(b)
	stop()
	again, _ := start(t, cfg)
	check(again)
}

// call sends one request on a connection of its own.
func call(t *testing.T, addr string, r kmsg.Request) (kmsg.Response, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	b := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, r, 77)
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	a := r.ResponseKind()
	body = body[4:]
	if a.IsFlexible() {
		body = body[1:]
	}
	return a, a.ReadFrom(body)
}

// batchOf is a record batch of one record.
func batchOf(value string) []byte {
	rec := kmsg.Record{Value: []byte(value)}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1)
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: 1, Records: rec.AppendTo(nil), FirstTimestamp: 1, MaxTimestamp: 1,
	}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func produce(t *testing.T, addr string, version int16, id [16]byte, batch []byte) int16 {
	t.Helper()
	r := kmsg.NewPtrProduceRequest()
	r.SetVersion(version)
	r.Acks, r.TimeoutMillis = -1, 1000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.TopicID = "clicks", id
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	topic.Partitions = append(topic.Partitions, p)
	r.Topics = append(r.Topics, topic)
	a, err := call(t, addr, r)
	if err != nil {
		t.Fatal(err)
	}
	return a.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	for _, durable := range []bool{false, true} {
		cfg := embedded.Config{Dir: t.TempDir(), SyncWrites: durable, Topics: []embedded.Topic{{Name: "clicks", Partitions: 1}}}
		b, stop := start(t, cfg)
		l := connect(t, b)
		topic, err := l.Topic(within(t), "clicks")
		if err != nil {
			t.Fatal(err)
		}

		bad := batchOf("bad")
		bad[len(bad)-1] ^= 1
		if code := produce(t, b.Addr(), 7, topic.ID, bad); code != kerr.CorruptMessage.Code {
			t.Errorf("a batch with a wrong checksum: code %d", code)
		}
		// A client that marks its batch as stamped must not get it lost.
		marked := batchOf("marked")
		marked[22] |= 0x08
		binary.BigEndian.PutUint32(marked[17:], crc32.Checksum(marked[21:], crc32.MakeTable(crc32.Castagnoli)))
		for _, version := range []int16{3, 9, 13} {
			if code := produce(t, b.Addr(), version, topic.ID, append([]byte(nil), marked...)); code != 0 {
				t.Errorf("version %d: code %d", version, code)
			}
		}
		stop()
		again, _ := start(t, cfg)
		if records, _ := all(t, connect(t, again), "clicks"); len(records) != 3 || string(records[2].Value) != "marked" {
			t.Errorf("after a restart there are %d records", len(records))
		}
	}
}

func TestNoTransactions(t *testing.T) {
	t.Parallel()
	b, _ := start(t, embedded.Config{Dir: t.TempDir()})
	for _, id := range []*string{kmsg.StringPtr("tx"), nil, kmsg.StringPtr("tx")} {
		r := kmsg.NewPtrInitProducerIDRequest()
		r.SetVersion(3)
		r.TransactionalID, r.TransactionTimeoutMillis = id, 1000
		a, err := call(t, b.Addr(), r)
		if err != nil {
			t.Fatal(err)
		}
		if code := a.(*kmsg.InitProducerIDResponse).ErrorCode; (code == 0) != (id == nil) {
			t.Errorf("producer with transactional id %v: code %d", id, code)
		}
	}
}

func TestHostileBytes(t *testing.T) {
	t.Parallel()
	b, _ := start(t, embedded.Config{Dir: t.TempDir(), Topics: []embedded.Topic{{Name: "clicks", Partitions: 1}}})
	for what, bytes := range map[string]string{
		"another protocol":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"a huge request":     "\x7f\xff\xff\xff\x00\x01",
		"an unknown API":     "\x00\x00\x00\x0a\x03\xe8\x00\x00\x00\x00\x00\x01\xff\xff",
		"an unknown version": "\x00\x00\x00\x0a\x00\x01\x03\xe8\x00\x00\x00\x01\xff\xff",
		"a negative version": "\x00\x00\x00\x0a\x00\x01\xff\xff\x00\x00\x00\x01\xff\xff",
		"a short request":    "\x00\x00\x00\x02\x00\x01",
		"a torn fetch":       "\x00\x00\x00\x10\x00\x01\x00\x0b\x00\x00\x00\x01\xff\xff\x00\x00\x00\x00\x00\x00",
		"a torn produce":     "\x00\x00\x00\x10\x00\x00\x00\x07\x00\x00\x00\x01\xff\xff\x00\x00\x00\x00\x00\x00",
	} {
		c, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(c, bytes)
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s is not hung up on", what)
		}
		c.Close()
	}
	l := connect(t, b)
	add(t, l, "clicks", values(0, 1))
}

func TestStartSaysWhatToDo(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, embedded.Config{Dir: dir})
	for want, cfg := range map[string]embedded.Config{
		"in use, perhaps by another clickagg": {Dir: t.TempDir(), Listen: taken.Addr().String()},
		"set embedded.listen to host:port":    {Dir: t.TempDir(), Listen: "nonsense"},
		"give data_dir a place":               {Dir: filepath.Join(file, "below"), Listen: "127.0.0.1:0"},
		"in use by another process":           {Dir: dir, Listen: "127.0.0.1:0"},
	} {
		if b, err := embedded.Start(t.Context(), cfg, quiet(t)); err == nil {
			b.Close()
			t.Errorf("%+v starts", cfg)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{Dir: t.TempDir(), SegmentBytes: 4 << 10, Topics: []embedded.Topic{{Name: "clicks", Partitions: 2}}}
	var id [16]byte
	for round := range 3 {
		b, stop := start(t, cfg)
		l := connect(t, b)
		topic, err := l.Topic(within(t), "clicks")
		if err != nil || topic.Partitions != 2 || round > 0 && topic.ID != id {
			t.Fatalf("round %d: %+v, %v", round, topic, err)
		}
		id = topic.ID
		for i := range 10 {
			add(t, l, "clicks", values(round*1000+i*100, round*1000+i*100+100))
		}
		records, end := all(t, l, "clicks")
		if want := (round + 1) * 1000; len(records) != want || end != int64(want) {
			t.Fatalf("round %d: %d records, end %d", round, len(records), end)
		}
		p, ok, err := l.Committed(within(t), "g", "clicks", 1)
		if err != nil || ok != (round > 0) || p.Offset != int64(round) {
			t.Fatalf("round %d: position %+v, %t, %v", round, p, ok, err)
		}
		if err := l.Commit(within(t), "g", "clicks", 1, stream.Position{Offset: int64(round + 1), Metadata: "m"}); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := b.CreateTopic(embedded.Topic{Name: "late", Partitions: 1}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed broker makes a topic: %v", err)
		}
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "partitions", "clicks-0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".dat") {
			names = append(names, filepath.Join(dir, "partitions", "clicks-0", e.Name()))
		}
	}
	return names
}

func TestDeletedRecordsFreeTheDisk(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{Dir: t.TempDir(), SegmentBytes: 4 << 10, Topics: []embedded.Topic{{Name: "clicks", Partitions: 1}}}
	b, stop := start(t, cfg)
	l := connect(t, b)
	for i := range 30 {
		add(t, l, "clicks", values(i*100, i*100+100))
	}
	if n := len(files(t, cfg.Dir)); n < 5 {
		t.Fatalf("%d files", n)
	}
	for _, before := range []int64{2000, 1000, 3000} { // the middle, what is gone, and all
		if err := l.DeleteRecords(within(t), "clicks", 0, before); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.DeleteRecords(within(t), "clicks", 0, 3001); !errors.Is(err, stream.ErrOutOfRange) {
		t.Errorf("deleting what is not there yet: %v", err)
	}
	if n := len(files(t, cfg.Dir)); n != 1 {
		t.Errorf("%d files are left", n)
	}
	for range 2 {
		r, err := l.Open(within(t), "clicks", 0, stream.At(1999))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(within(t), time.Millisecond); !errors.Is(err, stream.ErrOutOfRange) {
			t.Errorf("reading what was deleted: %v", err)
		}
		r.Close()
		if _, end := all(t, l, "clicks"); end != 3000 {
			t.Errorf("the log ends at %d", end)
		}
		l.Close()
		stop()
		b, stop = start(t, cfg)
		l = connect(t, b)
	}
	add(t, l, "clicks", values(0, 1))
	if _, end := all(t, l, "clicks"); end != 3001 {
		t.Errorf("after the restart the log ends at %d", end)
	}
	l.Close()
	stop()
}
