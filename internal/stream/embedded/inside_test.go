package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

func sealed(attrs uint16, maxTime int64) []byte {
	b := make([]byte, batchHeader+5)
	binary.BigEndian.PutUint32(b[batchLength:], uint32(len(b)-12))
	b[batchMagic] = 2
	binary.BigEndian.PutUint16(b[batchAttrs:], attrs)
	binary.BigEndian.PutUint64(b[batchMaxTime:], uint64(maxTime))
	seal(b)
	return b
}

func produceRequest(batches ...[]byte) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.Topics = []kmsg.ProduceRequestTopic{{}}
	for _, b := range batches {
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Records: b})
	}
	return r
}

func TestStamp(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(5000)
	s := stamper{now: func() time.Time { return now }}
	good, marked := sealed(3, 1<<60), sealed(attrLogAppendTime, 7)
	bad, short := sealed(0, 42), []byte("short")
	bad[len(bad)-1] ^= 1
	s.stamp(produceRequest(good, marked, bad, short))
	for name, b := range map[string][]byte{"good": good, "marked": marked} {
		if at := binary.BigEndian.Uint64(b[batchMaxTime:]); at != 5000 || !whole(b) {
			t.Errorf("%s: stamped %d, whole %t", name, at, whole(b))
		}
		if b[batchAttrs+1]&attrLogAppendTime != 0 {
			t.Errorf("%s goes to the engine with the mark", name)
		}
	}
	if at := binary.BigEndian.Uint64(bad[batchMaxTime:]); at != 42 || whole(bad) {
		t.Errorf("a bad batch was made good: %d", at)
	}
	now = time.UnixMilli(4000) // the clock is set back
	s.stamp(produceRequest(good))
	if at := binary.BigEndian.Uint64(good[batchMaxTime:]); at != 5000 {
		t.Errorf("time runs back to %d", at)
	}
}

func TestMark(t *testing.T) {
	t.Parallel()
	first, control := sealed(2, 1), sealed(attrControl, 1)
	binary.BigEndian.PutUint64(control, 9) // outside the checksum
	set := append(append(append([]byte(nil), first...), control...), first[:20]...)
	if last := mark(set); last != 9 {
		t.Errorf("the last batch is at %d", last)
	}
	if a := binary.BigEndian.Uint16(set[batchAttrs:]); a != 2|attrLogAppendTime || !whole(set[:len(first)]) {
		t.Errorf("attributes %x, whole %t", a, whole(set[:len(first)]))
	}
	if a := binary.BigEndian.Uint16(set[len(first)+batchAttrs:]); a != attrControl {
		t.Errorf("a control batch got attributes %x", a)
	}
	if last := mark(nil); last != -1 {
		t.Errorf("nothing ends at %d", last)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	now := time.Unix(10_000, 0)
	files := []segment{
		{base: 0, size: 10, modified: now.Add(-9 * time.Hour)},
		{base: 100, size: 20, modified: now.Add(-5 * time.Hour)},
		{base: 250, size: 30, modified: now.Add(-1 * time.Hour)},
		{base: 300, size: 40, modified: now.Add(-1 * time.Hour)},
	}
	for _, c := range []struct {
		limits limits
		want   int64
		ok     bool
	}{
		{limits{-1, -1}, 0, false},
		{limits{10 * time.Hour, -1}, 0, false},
		{limits{9 * time.Hour, -1}, 100, true},
		{limits{2 * time.Hour, -1}, 250, true},
		{limits{0, -1}, 300, true}, // the last file stays
		{limits{-1, 0}, 300, true},
		{limits{-1, 99}, 0, false},
		{limits{-1, 90}, 100, true},
		{limits{-1, 70}, 250, true},
		{limits{9 * time.Hour, 70}, 250, true},
	} {
		if got, ok := c.limits.before(files, now); got != c.want || ok != c.ok {
			t.Errorf("%+v: %d, %t; want %d, %t", c.limits, got, ok, c.want, c.ok)
		}
	}
	value := "3600000"
	b := Broker{cfg: Config{Retention: time.Minute}}
	if got := b.limits(map[string]*string{"retention.ms": &value, "retention.bytes": nil}); got != (limits{time.Hour, -1}) {
		t.Errorf("limits %+v", got)
	}
	if got := b.limits(nil); got != (limits{time.Minute, -1}) {
		t.Errorf("limits %+v", got)
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := Start(t.Context(), Config{
		Dir: dir, Listen: "127.0.0.1:0", Retention: time.Hour, SegmentBytes: 10,
		Topics: []Topic{{Name: "a-b", Partitions: 1}, {Name: "kept", Partitions: 1, Configs: map[string]string{"retention.ms": "-1"}}},
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l, err := kafka.Open(t.Context(), kafka.Config{Brokers: []string{b.Addr()}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, topic := range []string{"a-b", "kept"} {
		for range 4 {
			if err := l.Append(t.Context(), topic, []stream.Message{{Value: []byte("v")}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(want map[string]int64) {
		t.Helper()
		for topic, first := range want {
			start, end, err := l.Bounds(t.Context(), topic, 0)
			if err != nil || start != first || end != 4 {
				t.Errorf("%s holds %d to %d, %v; want %d to 4", topic, start, end, err, first)
			}
			if files, err := segments(partitionDir(dir, topic, 0)); err != nil || len(files) != int(4-first) {
				t.Errorf("%s has %d files, %v", topic, len(files), err)
			}
		}
	}
	for _, at := range []time.Duration{0, 30 * time.Minute} {
		if err := b.expire(time.Now().Add(at)); err != nil {
			t.Fatal(err)
		}
		check(map[string]int64{"a-b": 0, "kept": 0})
	}
	for range 2 {
		if err := b.expire(time.Now().Add(2 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		check(map[string]int64{"a-b": 3, "kept": 0})
	}
}

func TestDurable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := place{"clicks", 0}
	d := newDurable(dir, func(place) (int64, error) { return 10, nil }, func(string) int64 { return 1 << 20 }, zap.NewNop())
	stopped := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() { d.run(ctx); close(stopped) }()
	for range 2 {
		if err := d.wait([]need{{p, 3}, {p, 9}, {positions, 0}}); err != nil {
			t.Fatal(err)
		}
		if d.synced[p] != 10 {
			t.Errorf("synced to %d", d.synced[p])
		}
	}
	d.forget()
	if _, ok := d.synced[p]; ok {
		t.Error("the place is not forgotten")
	}
	// A directory where a file should be cannot be synced.
	if err := os.MkdirAll(filepath.Join(partitionDir(dir, "clicks", 0), "0.dat"), 0o750); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.wait([]need{{p, 3}}); err == nil {
			t.Fatal("a failed sync is acknowledged")
		}
	}
	stop()
	<-stopped

	d = newDurable(dir, func(place) (int64, error) { return 0, os.ErrClosed }, nil, zap.NewNop())
	ctx, stop = context.WithCancel(t.Context())
	stop()
	d.run(ctx)
	if err := d.wait([]need{{p, 0}}); err == nil {
		t.Error("a closed broker acknowledges")
	} else if errors.Is(err, os.ErrClosed) {
		t.Errorf("it asked the engine: %v", err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, size int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t1 := &tail{dir: dir, full: 100}
	at := func(want string) {
		t.Helper()
		if err := t1.sync(); err != nil {
			t.Fatal(err)
		}
		got := ""
		if t1.file != nil {
			got = filepath.Base(t1.file.Name())
		}
		if got != want {
			t.Fatalf("the tail is at %q, not %q", got, want)
		}
	}
	defer t1.close()
	at("")
	write("0.dat", 50)
	write("0.idx", 50)
	at("0.dat")
	write("9.dat", 10) // not looked for while the first has room
	at("0.dat")
	write("0.dat", 120)
	at("9.dat")
	write("20.dat", 1)
	write("15.dat", 120)
	write("9.dat", 100)
	at("20.dat")
	os.Remove(filepath.Join(dir, "20.dat")) // the topic is another now
	os.Remove(filepath.Join(dir, "15.dat"))
	os.Remove(filepath.Join(dir, "9.dat"))
	at("0.dat")
}

// A program that is just being started has copies of all open files, for an instant.
func TestLockEndsThoughACopyIsOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := unlockFile(lock); err != nil {
		t.Fatal(err)
	}
	if lock, err = lockDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := unlockFile(lock); err != nil {
		t.Fatal(err)
	}
}
