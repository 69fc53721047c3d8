package stage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/snapshot"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// adder is the smallest machine: it adds up its records and says each sum.
type adder struct {
	position, sum int64
	out           *Outbox
	waiting       int
}

var errBad = errors.New("bad record")

func (a *adder) Position() int64 { return a.position }

func (a *adder) Fold(r *click.Record) error {
	if len(r.Value) == 0 {
		return errBad
	}
	a.position = r.Offset + 1
	a.sum += int64(r.Value[0])
	a.out.Add(stream.Message{Value: a.out.Value(func(b []byte) []byte { return fmt.Appendf(b, "%d", a.sum) })})
	a.waiting++
	return nil
}

func (a *adder) Pending() int { return a.waiting }

func (a *adder) Flush(ctx context.Context) error {
	if err := a.out.Flush(ctx); err != nil {
		return err
	}
	a.waiting = 0
	return nil
}

func (a *adder) Snapshot() Pieces {
	return func(b []byte) ([]byte, bool) {
		return binary.AppendVarint(binary.AppendVarint(b, a.position), a.sum), true
	}
}

// bench is an installation of one adder.
type bench struct {
	t     *testing.T
	log   *memory.Log
	blobs blob.Store
}

func newBench(t *testing.T) *bench {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, log: new(memory.Log), blobs: d}
	b.log.Create("in", 1)
	b.log.Create("out", 1)
	return b
}

func (b *bench) put(values ...byte) {
	b.t.Helper()
	for _, v := range values {
		if err := b.log.Append(b.t.Context(), "in", []stream.Message{{Value: []byte{v}}}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) machine() *adder { return &adder{out: NewOutbox(b.log, "out")} }

func (b *bench) config(interval time.Duration) Config {
	return Config{
		Log: b.log, Topic: "in", Group: "g", Snapshots: snapshot.NewKeeper(b.blobs, "c", "adder/0"),
		Interval: interval, Clock: stream.Wall{}, Logger: zap.NewNop(),
	}
}

// run runs the adder until it has folded the whole log, and stops it.
func (b *bench) run(interval time.Duration) error {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	_, end, _ := b.log.Bounds(ctx, "in", 0)
	return Run(ctx, b.config(interval), b.machine, func(state []byte) (*adder, error) {
		m := b.machine()
		var n int
		m.position, n = binary.Varint(state)
		m.sum, _ = binary.Varint(state[n:])
		return m, nil
	}, func(m *adder, _ int64) {
		if m.position >= end {
			cancel()
		}
	})
}

func (b *bench) said() string {
	var words []string
	for _, r := range b.log.Records("out", 0) {
		words = append(words, string(r.Value))
	}
	return strings.Join(words, " ")
}

func (b *bench) committed() int64 {
	p, ok, err := b.log.Committed(b.t.Context(), "g", "in", 0)
	if err != nil || !ok {
		return -1
	}
	return p.Offset
}

func TestGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(1, 2, 3)
	if err := b.run(time.Hour); err != nil {
		t.Fatal(err)
	}
	// Case: told to stop, it keeps its state and shows its position.
	if b.said() != "1 3 6" || b.committed() != 3 {
		t.Fatalf("said %q, committed %d", b.said(), b.committed())
	}
	// Case: the next run reads only what is new.
	b.put(4)
	if err := b.run(time.Hour); err != nil {
		t.Fatal(err)
	}
	if b.said() != "1 3 6 10" || b.committed() != 4 {
		t.Fatalf("said %q, committed %d", b.said(), b.committed())
	}
	// Case: without a snapshot it reads all again and says the same again.
	names, _ := b.blobs.List(t.Context(), "")
	for _, n := range names {
		_ = b.blobs.Delete(t.Context(), n)
	}
	b.put(5)
	if err := b.run(time.Hour); err != nil {
		t.Fatal(err)
	}
	if b.said() != "1 3 6 10 1 3 6 10 15" {
		t.Fatalf("said %q", b.said())
	}
}

// Nothing is kept of the state before what it said is acknowledged.
func TestPushFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(1, 2)
	away := errors.New("away")
	b.log.OnAppend = func(topic string, _ []stream.Message) error {
		if topic == "out" {
			return away
		}
		return nil
	}
	if err := b.run(0); !errors.Is(err, away) {
		t.Fatal(err)
	}
	if names, _ := b.blobs.List(t.Context(), ""); len(names) > 0 || b.committed() != -1 {
		t.Fatalf("kept %v, committed %d, though nothing was acknowledged", names, b.committed())
	}
	// Case: the snapshot is there before the position is shown.
	b.log.OnAppend = nil
	b.log.OnCommit = func(_, _ string, _ int32, p stream.Position) error {
		names, _ := b.blobs.List(t.Context(), "adder/0/")
		if len(names) == 0 {
			t.Errorf("committed %d without a snapshot", p.Offset)
		}
		return nil
	}
	if err := b.run(0); err != nil {
		t.Fatal(err)
	}
	b.put(3)
	if err := b.run(0); err != nil {
		t.Fatal(err)
	}
	if b.committed() != 3 {
		t.Errorf("committed %d", b.committed())
	}
}

func TestLoss(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(b *bench)
		words  string
	}{
		"the log was cut beyond the snapshot": {func(b *bench) { b.put(1, 2, 3, 4); b.log.Cut("in", 0, 3) }, "begins at offset 3"},
		"the log's tail is gone":              {func(b *bench) { b.log.Elect("in", 0, 1) }, "ends at offset 1"},
		"the log's tail is another one":       {func(b *bench) { b.log.Elect("in", 0, 1); b.put(7, 8, 9) }, "was written anew"},
		"the topic was made again":            {func(b *bench) { b.log.Create("in", 1); b.put(7, 8, 9) }, "deleted and made again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.put(1, 2)
			if err := b.run(time.Hour); err != nil {
				t.Fatal(err)
			}
			c.damage(b)
			err := b.run(time.Hour)
			if !errors.Is(err, ErrLoss) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestBadRecordStops(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(1)
	if err := b.log.Append(t.Context(), "in", []stream.Message{{Value: []byte{}}}); err != nil {
		t.Fatal(err)
	}
	err := b.run(time.Hour)
	if !errors.Is(err, errBad) || !strings.Contains(err.Error(), "offset 1") {
		t.Fatalf("%v", err)
	}
}

// A record that cannot be folded is told of, and nothing of it is kept, also
// when the stage is told to stop at that moment.
func TestBadRecordWhileStopping(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(1, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Run(ctx, b.config(time.Hour), func() *stopped { return &stopped{b.machine(), cancel} }, nil, func(*stopped, int64) {})
	if names, _ := b.blobs.List(t.Context(), ""); !errors.Is(err, errBad) || len(names) > 0 {
		t.Errorf("%v, kept %v", err, names)
	}
}

// stopped is an adder that is told to stop while it fails at its first record.
type stopped struct {
	*adder
	stop func()
}

func (s *stopped) Fold(r *click.Record) error {
	s.stop()
	s.position = r.Offset + 1
	return errBad
}

// While it is read, too, a log that is written anew is noticed.
func TestLossWhileReading(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(1, 2)
	cut := false
	err := Run(t.Context(), b.config(time.Hour), b.machine, nil, func(m *adder, _ int64) {
		if m.position == 2 && !cut {
			cut = true
			b.log.Elect("in", 0, 1)
			b.put(7, 8, 9)
		}
	})
	if !errors.Is(err, ErrLoss) || !cut || b.said() != "1 3" {
		t.Errorf("%v, said %q", err, b.said())
	}
}

// A stage whose partition has moved ends quietly, and leaves nothing at work.
func TestMoved(t *testing.T) {
	t.Parallel()
	moved := fmt.Errorf("not yours: %w", stream.ErrNotOwner)
	for name, told := range map[string]bool{"while at work": false, "told to stop": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.put(1, 2)
				b.log.OnCommit = func(string, string, int32, stream.Position) error { return moved }
				slow := &slow{Store: b.blobs, takes: stopWait / 2}
				b.blobs = slow
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := Run(ctx, b.config(0), b.machine, nil, func(*adder, int64) {
					if told && slow.begun.Load() > 0 {
						cancel()
					}
				})
				if errors.Is(err, stream.ErrNotOwner) == told || told && err != nil {
					t.Errorf("%v", err)
				}
				if begun, done := slow.begun.Load(), slow.done.Load(); done == 0 || begun != done {
					t.Errorf("it has ended, and of %d states %d are kept", begun, done)
				}
			})
		})
	}
}

// A state that takes longer to keep than a commit may take is committed all the same.
func TestSlowEnd(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]int32{"begun before": 1, "begun at the end": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.put(1, 2)
				slow := &slow{Store: b.blobs, takes: 6 * stopWait}
				b.blobs = slow
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := Run(ctx, b.config(time.Duration(1-told)*24*time.Hour), b.machine, nil, func(m *adder, _ int64) {
					if m.position == 2 && slow.begun.Load() == told {
						cancel()
					}
				})
				if err != nil || b.committed() != 2 {
					t.Errorf("%v, committed %d", err, b.committed())
				}
			})
		})
	}
}

// A snapshot that cannot be written costs a slower restart; the stage goes on,
// and says so when it is told to stop.
func TestSnapshotFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.blobs = full{b.blobs}
	b.put(1, 2, 3)
	if err := b.run(0); err == nil || !strings.Contains(err.Error(), "keep the state at the end: ") {
		t.Errorf("%v", err)
	}
	if b.said() != "1 3 6" || b.committed() != -1 {
		t.Errorf("said %q, committed %d", b.said(), b.committed())
	}
}

// slow takes its time, a bubble's, to keep something.
type slow struct {
	blob.Store
	takes       time.Duration
	begun, done atomic.Int32
}

func (s *slow) Put(ctx context.Context, name string, b []byte) error {
	s.begun.Add(1)
	defer s.done.Add(1)
	time.Sleep(s.takes)
	return s.Store.Put(ctx, name, b)
}

type full struct{ blob.Store }

func (full) Put(context.Context, string, []byte) error { return errors.New("no space left on device") }
