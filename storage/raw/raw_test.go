package raw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stage"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/carry"
	"github.com/clickagg/clickagg/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a raw store in memory. Put calls before, if set, which may refuse; what is
// refused is stored all the same when half says so.
type shelf struct {
	id     string
	before func(records []click.Record) error
	half   func() bool

	mu   sync.Mutex
	kept map[click.Source]map[int64]click.Record
	puts int
	t    *testing.T
}

func newShelf(t *testing.T) *shelf {
	return &shelf{t: t, id: "shelf", kept: map[click.Source]map[int64]click.Record{}}
}

func (s *shelf) ID() string { return s.id }

func (s *shelf) Put(_ context.Context, src click.Source, records []click.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.before != nil {
		err = s.before(records)
	}
	if err != nil && (s.half == nil || !s.half()) {
		return err
	}
	s.puts++
	if s.kept[src] == nil {
		s.kept[src] = map[int64]click.Record{}
	}
	for _, r := range records {
		r.Key, r.Value, r.Headers.Raw = bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.Headers.Raw)
		if old, ok := s.kept[src][r.Offset]; ok && !storagetest.SameRecord(old, r) {
			s.t.Errorf("offset %d was %+v and is now %+v", r.Offset, old, r)
		}
		s.kept[src][r.Offset] = r
	}
	return err
}

func (s *shelf) Read(context.Context, click.Source, int64, int64, func(*click.Record) error) error {
	panic("a keeper does not read")
}

func (s *shelf) Sources(context.Context) ([]click.Source, error) { panic("a keeper does not ask") }

// isLog fails the test unless the shelf has exactly what the log has.
func (s *shelf) isLog(log *memory.Log) {
	s.t.Helper()
	topic, err := log.Topic(s.t.Context(), "clicks")
	if err != nil {
		s.t.Fatal(err)
	}
	want := log.Records("clicks", 0)
	got := s.kept[click.Source{Topic: "clicks", ID: topic.ID}]
	if len(got) != len(want) {
		s.t.Fatalf("%d records are kept, %d are in the log", len(got), len(want))
	}
	for _, r := range want {
		if !storagetest.SameRecord(got[r.Offset], r) {
			s.t.Fatalf("kept is %+v, the log has %+v", got[r.Offset], r)
		}
	}
}

func newLog() *memory.Log {
	log := new(memory.Log)
	log.Create("clicks", 1)
	return log
}

func add(t *testing.T, log *memory.Log, messages ...stream.Message) {
	t.Helper()
	if err := log.Append(t.Context(), "clicks", messages); err != nil {
		t.Fatal(err)
	}
}

// clock is a time in which waiting takes none.
type clock struct{}

func (clock) Now() time.Time { return time.Unix(0, 0) }

func (clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// run keeps until the position in the log's end is committed, and stops.
func run(t *testing.T, log stream.Log, s *shelf, maxBytes int) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := Config{Group: "g", MaxBytes: maxBytes}
	return New(ending{log, stop}, s, cfg, clock{}, NewMetrics(nil), zap.NewNop()).Source(ctx, "clicks", 0)
}

// ending is a log that tells its reader to stop at the end.
type ending struct {
	stream.Log
	stop func()
}

func (e ending) Open(ctx context.Context, topic string, partition int32, at stream.Place) (stream.Reader, error) {
	r, err := e.Log.Open(ctx, topic, partition, at)
	return endingReader{r, e}, err
}

type endingReader struct {
	stream.Reader
	e ending
}

func (r endingReader) Read(ctx context.Context, _ time.Duration) (*stream.Batch, error) {
	b, err := r.Reader.Read(ctx, time.Millisecond)
	if err == nil && len(b.Records) == 0 {
		r.e.stop()
	}
	return b, err
}

func TestKeepsEverythingUntouched(t *testing.T) {
	t.Parallel()
	log, s := newLog(), newShelf(t)
	add(t, log,
		stream.Message{Key: []byte("k"), Value: []byte(`{"ad_id":"a"}`), Headers: []click.Header{{Key: "h", Value: []byte{0}}, {Key: "null"}}},
		stream.Message{Value: []byte("garbage \x00\xff")},
		stream.Message{Key: []byte("tombstone")},
		stream.Message{},
		stream.Message{Key: []byte{}, Value: []byte{}},
		stream.Message{Headers: []click.Header{{Key: click.HeaderWatermark, Value: []byte("1")}}},
	)
	if err := run(t, log, s, 0); err != nil {
		t.Fatal(err)
	}
	s.isLog(log)
	if at, ok, err := log.Committed(t.Context(), "g", "clicks", 0); err != nil || !ok || at.Offset != 6 {
		t.Errorf("committed %+v, %t, %v", at, ok, err)
	}
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	log, s := newLog(), newShelf(t)
	for range 10 {
		add(t, log, stream.Message{Value: make([]byte, 900)})
	}
	s.before = func(records []click.Record) error {
		if len(records) > 3 {
			t.Errorf("%d records of 1000 bytes at once", len(records))
		}
		return nil
	}
	if err := run(t, log, s, 2_500); err != nil {
		t.Fatal(err)
	}
	if s.isLog(log); s.puts != 4 {
		t.Errorf("%d puts", s.puts)
	}
}

// TestPushFirst: no position is committed before what is before it is stored.
func TestPushFirst(t *testing.T) {
	t.Parallel()
	log, s := newLog(), newShelf(t)
	add(t, log, stream.Message{Value: []byte("a")}, stream.Message{Value: []byte("b")})
	log.OnCommit = func(_, _ string, _ int32, p stream.Position) error {
		for _, kept := range s.kept {
			if int64(len(kept)) >= p.Offset {
				return nil
			}
		}
		t.Errorf("committed %d before it was stored", p.Offset)
		return nil
	}
	if err := run(t, log, s, 1); err != nil {
		t.Fatal(err)
	}
}

// TestLosesNothing keeps a growing log in a store that is often away, sometimes after
// it took the batch, with restarts that forget the last position.
func TestLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 7))
		log, s := newLog(), newShelf(t)
		s.before = func([]click.Record) error {
			if rng.IntN(3) == 0 {
				return storage.ErrUnavailable
			}
			return nil
		}
		s.half = func() bool { return rng.IntN(2) == 0 }
		log.OnCommit = func(string, string, int32, stream.Position) error {
			if rng.IntN(2) == 0 {
				return errors.New("killed before the commit")
			}
			return nil
		}
		for range 4 {
			for range rng.IntN(40) {
				add(t, log, stream.Message{Value: make([]byte, rng.IntN(50))})
			}
			if err := run(t, log, s, 1+rng.IntN(1000)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if len(log.Records("clicks", 0)) > 0 {
				s.isLog(log)
			}
		}
	}
}

func TestRefusesALogThatLostSomething(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*memory.Log, *shelf){
		"retention":        func(log *memory.Log, _ *shelf) { log.Cut("clicks", 0, 3) },
		"its tail cut off": func(log *memory.Log, _ *shelf) { log.Elect("clicks", 0, 1) },
		"another leader": func(log *memory.Log, _ *shelf) {
			log.Elect("clicks", 0, 1)
			add(t, log, stream.Message{}, stream.Message{}, stream.Message{})
		},
		"made again":                        func(log *memory.Log, _ *shelf) { log.Create("clicks", 1) },
		"a new store, and the log is short": func(log *memory.Log, s *shelf) { s.id = "2"; log.Cut("clicks", 0, 1) },
	} {
		log, s := newLog(), newShelf(t)
		add(t, log, stream.Message{Value: []byte("a")}, stream.Message{Value: []byte("b")})
		if err := run(t, log, s, 0); err != nil {
			t.Fatal(err)
		}
		add(t, log, stream.Message{Value: []byte("c")}, stream.Message{Value: []byte("d")})
		spoil(log, s)
		if err := run(t, log, s, 0); !errors.Is(err, stage.ErrLoss) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStopsForAnotherOwnerAndForARecordThatIsNone(t *testing.T) {
	t.Parallel()
	log, s := newLog(), newShelf(t)
	add(t, log, stream.Message{Value: []byte("a")})
	log.OnCommit = func(string, string, int32, stream.Position) error { return stream.ErrNotOwner }
	if err := run(t, log, s, 0); !errors.Is(err, stream.ErrNotOwner) || !strings.HasPrefix(err.Error(), "raw clicks/0: ") {
		t.Error(err)
	}
	s.before = func([]click.Record) error { return fmt.Errorf("%w: too large", storage.ErrInvalid) }
	if err := run(t, log, s, 0); !errors.Is(err, storage.ErrInvalid) || !strings.Contains(err.Error(), "offset 0") {
		t.Error(err)
	}
}

// TestPutsAsideWhatTheStoreCannotTake: one record that is too large for the store stalls
// no partition.
func TestPutsAsideWhatTheStoreCannotTake(t *testing.T) {
	t.Parallel()
	log, s := newLog(), newShelf(t)
	log.Create("rejected", 1)
	for _, n := range []int{1, 1, click.LetterBytes + 10, 1} {
		add(t, log, stream.Message{Key: []byte("k"), Value: make([]byte, n)})
	}
	s.before = func(records []click.Record) error {
		for i := range records {
			if len(records[i].Value) > 10 {
				return fmt.Errorf("%w: too large", storage.ErrInvalid)
			}
		}
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := Config{Group: "g", Refusals: carry.Refusals{Most: 1, Topic: "rejected", Partitions: 1}}
	if err := New(ending{log, stop}, s, cfg, clock{}, NewMetrics(nil), zap.NewNop()).Source(ctx, "clicks", 0); err != nil {
		t.Fatal(err)
	}
	letters := log.Records("rejected", 0)
	if len(letters) != 1 || len(letters[0].Value) != click.LetterBytes {
		t.Fatalf("%d letters", len(letters))
	}
	for name, want := range map[string]string{
		click.HeaderReason: "refused", click.HeaderOffset: "2", click.HeaderTopic: "clicks", click.HeaderBytes: fmt.Sprint(click.LetterBytes + 10),
	} {
		if v, _ := letters[0].Headers.Get(name); string(v) != want {
			t.Errorf("%s is %q", name, v)
		}
	}
	for _, kept := range s.kept {
		if len(kept) != 3 {
			t.Errorf("%d are stored", len(kept))
		}
	}
}

// TestPassesOverWhatNobodyCanRead: a broken batch does not keep the records behind it
// from being stored; one whose end is not known stops.
func TestPassesOverWhatNobodyCanRead(t *testing.T) {
	t.Parallel()
	torn := func(end int64) broken {
		log := newLog()
		for i := range 9 {
			add(t, log, stream.Message{Value: []byte{byte(i)}})
		}
		return broken{log, &stream.Corrupt{Topic: "clicks", Start: 3, End: end, Reason: "torn"}}
	}
	s := newShelf(t)
	if err := run(t, torn(5), s, 0); err != nil {
		t.Fatal(err)
	}
	for _, kept := range s.kept {
		var offsets []int64
		for o := range kept {
			offsets = append(offsets, o)
		}
		if slices.Sort(offsets); !slices.Equal(offsets, []int64{0, 1, 2, 5, 6, 7, 8}) {
			t.Errorf("kept are %v", offsets)
		}
	}
	if err := run(t, torn(3), newShelf(t), 0); !errors.Is(err, stream.ErrCorrupt) {
		t.Errorf("a batch without an end: %v", err)
	}
}

// broken is a log with a batch that nobody can read.
type broken struct {
	*memory.Log
	bad *stream.Corrupt
}

func (b broken) Open(ctx context.Context, topic string, partition int32, at stream.Place) (stream.Reader, error) {
	r, err := b.Log.Open(ctx, topic, partition, at)
	return &brokenReader{Reader: r, b: b, next: at.Offset}, err
}

type brokenReader struct {
	stream.Reader
	b    broken
	next int64
}

func (r *brokenReader) Read(ctx context.Context, wait time.Duration) (*stream.Batch, error) {
	if r.next == r.b.bad.Start {
		return nil, r.b.bad
	}
	b, err := r.Reader.Read(ctx, wait)
	if err != nil || r.next > r.b.bad.Start {
		return b, err
	}
	cut := *b
	cut.Records = slices.DeleteFunc(slices.Clone(b.Records), func(rec click.Record) bool { return rec.Offset >= r.b.bad.Start })
	cut.Next, r.next = r.b.bad.Start, r.b.bad.Start
	return &cut, nil
}
