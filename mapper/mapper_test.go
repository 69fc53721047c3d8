package mapper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/mapper/rule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an installation with one input topic of two partitions and two shards.
type bench struct {
	t      *testing.T
	log    *memory.Log
	topics click.Topics
	m      *Mapper
	rules  map[string]string
	calls  []string // what was done, in order
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, log: new(memory.Log), topics: click.TopicsOf("clickagg"), rules: map[string]string{"watermark.delay": "15s"}}
	for name, n := range map[string]int{
		"clicks": 2, b.topics.Shuffle: 2, b.topics.Rejected: 1, b.topics.Late: 1, b.topics.Control: 1,
	} {
		b.log.Create(name, n)
	}
	b.log.OnAppend = func(topic string, m []stream.Message) error {
		if topic != "clicks" {
			b.calls = append(b.calls, fmt.Sprintf("append %s %d", topic, len(m)))
		}
		return nil
	}
	b.log.OnCommit = func(_, topic string, p int32, at stream.Position) error {
		was, err := decodePosition(at.Metadata)
		if err != nil || was.state.Next != at.Offset || len(at.Metadata) > 600 {
			t.Errorf("%q: %+v, %v", at.Metadata, was, err)
		}
		b.calls = append(b.calls, fmt.Sprintf("commit %s/%d %d %s", topic, p, at.Offset, endedWords[was.ended]))
		return nil
	}
	b.m = b.mapper()
	return b
}

// commits lists the committed offsets of clicks/0.
func (b *bench) commits() (out []string) {
	for _, call := range b.calls {
		if at, ok := strings.CutPrefix(call, "commit clicks/0 "); ok {
			out = append(out, at)
		}
	}
	return out
}

func (b *bench) mapper() *Mapper {
	return New(b.log, Config{
		Group: "g", Topics: b.topics, Trusted: func(string) bool { return true }, Rules: b.rules,
		Rule: rule.Config{
			Size: 60_000, Lateness: 300_000, Delay: 15_000, MaxFuture: 60_000, IdleTimeout: 5_000,
			EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: rule.Millis,
			MaxRecordBytes: 1 << 16, SectionClicks: 100, Router: click.NewRouter(1, 2), Shards: 2,
		},
		CommitInterval: time.Second, Heartbeat: 500 * time.Millisecond, SkewMargin: time.Second, MaxLead: time.Minute,
		Rejected: 1, Late: 1,
	}, 2, stream.Wall{}, NewMetrics(nil), zap.NewNop())
}

func (b *bench) put(values ...string) {
	b.t.Helper()
	for _, v := range values {
		if err := b.log.Append(b.t.Context(), "clicks", []stream.Message{{Key: []byte("k"), Value: []byte(v)}}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// run maps partition 0 for a while of the bubble's time, and stops.
func (b *bench) run(d time.Duration) error {
	b.t.Helper()
	topic, err := b.log.Topic(b.t.Context(), "clicks")
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), d)
	defer cancel()
	return b.m.Source(ctx, topic, 0)
}

// sections decodes what a shard was sent.
func (b *bench) sections(shard int32) []click.Section {
	b.t.Helper()
	var out []click.Section
	for _, r := range b.log.Records(b.topics.Shuffle, shard) {
		s, err := click.ParseSection(r.Value)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func good(id int) string {
	return fmt.Sprintf(`{"event_id":"%d","ad_id":"ad%d","ts":%d}`, id, id%7, time.Now().UnixMilli())
}

func TestHandOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1), good(2), "garbage", good(3))
		if err := b.run(3 * time.Second); err != nil {
			t.Fatal(err)
		}
		// Case: every shard gets the same ranges, without a gap, and together all clicks.
		var n int
		for shard := range int32(2) {
			next := int64(0)
			for _, s := range b.sections(shard) {
				if s.Start != next || s.Sources != 2 {
					t.Errorf("shard %d: section from %d, want %d; %d sources", shard, s.Start, next, s.Sources)
				}
				next = s.End
				n += s.Clicks.N
			}
			if next != 4 {
				t.Errorf("shard %d knows offsets up to %d", shard, next)
			}
		}
		if n != 3 {
			t.Errorf("%d clicks handed over, want 3", n)
		}
		// Case: what was refused is kept, before the position is.
		commit := slices.Index(b.calls, "commit clicks/0 4 open")
		if shuffle := slices.Index(b.calls, "append clickagg.shuffle 2"); shuffle < 0 || commit < shuffle {
			t.Errorf("order of calls: %v", b.calls)
		}
		if rejected := slices.Index(b.calls, "append clickagg.rejected 1"); rejected < 0 || commit < rejected {
			t.Errorf("order of calls: %v", b.calls)
		}
		r := b.log.Records(b.topics.Rejected, 0)[0]
		for name, want := range map[string]string{
			click.HeaderReason: "malformed", click.HeaderTopic: "clicks", click.HeaderPartition: "0", click.HeaderOffset: "2",
		} {
			if v, _ := r.Headers.Get(name); string(v) != want {
				t.Errorf("header %s is %q, want %q", name, v, want)
			}
		}
		if string(r.Value) != "garbage" || string(r.Key) != "k" {
			t.Errorf("the bytes were touched: %q %q", r.Key, r.Value)
		}
		// Case: heartbeats go on, and without news nothing is committed again but the
		// beginning and the end.
		if commits := b.commits(); !slices.Equal(commits, []string{"0 open", "4 open", "4 ended"}) {
			t.Errorf("%v", commits)
		}
		if s := b.sections(0); len(s) < 5 || s[len(s)-1].Start != 4 {
			t.Errorf("%d sections: no heartbeats", len(s))
		}
		// Case: the next mapper goes on there.
		b.m = b.mapper()
		b.put(good(4))
		if err := b.run(2 * time.Second); err != nil {
			t.Fatal(err)
		}
		s := b.sections(0)
		if last := s[len(s)-1]; last.End != 5 || last.Account.Received != 5 || last.Account.Rejected[click.Malformed] != 1 {
			t.Errorf("after the restart: %+v", last)
		}
	})
}

// When a shard's partition does not answer, nothing is committed.
func TestNoCommitWithoutAcknowledgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1))
		away := errors.New("away")
		b.log.OnAppend = func(topic string, _ []stream.Message) error {
			if topic == b.topics.Shuffle {
				return away
			}
			return nil
		}
		if err := b.run(5 * time.Second); !errors.Is(err, away) {
			t.Fatalf("%v", err)
		}
		if commits := b.commits(); !slices.Equal(commits, []string{"0 open"}) {
			t.Errorf("done all the same: %v", b.calls)
		}
	})
}

func TestLoss(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(b *bench)
		words  string
	}{
		"made again": {func(b *bench) { b.log.Create("clicks", 2); b.put(good(1), good(2), good(3)) }, "deleted and made again"},
		"cut":        {func(b *bench) { b.put(good(3), good(4)); b.log.Cut("clicks", 0, 3) }, "offsets 2 to 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.put(good(1), good(2))
				if err := b.run(3 * time.Second); err != nil {
					t.Fatal(err)
				}
				c.damage(b)
				b.m = b.mapper()
				if err := b.run(3 * time.Second); !errors.Is(err, ErrLoss) || !strings.Contains(err.Error(), c.words) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// A batch that cannot be read is stepped over: its offsets are rejected, and the
// clicks behind it are counted.
func TestUnreadableBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1), good(2), good(3), good(4))
		b.m.log = &holed{Log: b.log, start: 1, end: 3}
		if err := b.run(3 * time.Second); err != nil {
			t.Fatal(err)
		}
		s := b.sections(0)
		a := s[len(s)-1].Account
		if a.Received != 4 || a.Routed != 2 || a.Rejected[click.BadBatch] != 2 || !a.Holds() {
			t.Errorf("%+v", a)
		}
		if r := b.log.Records(b.topics.Rejected, 0); len(r) != 1 {
			t.Errorf("%d letters", len(r))
		}
	})
}

// holed is a log with a batch nobody can read at offsets [start, end) of clicks/0.
type holed struct {
	*memory.Log
	start, end int64
}

func (h *holed) Open(ctx context.Context, topic string, p int32, at stream.Place) (stream.Reader, error) {
	r, err := h.Log.Open(ctx, topic, p, at)
	if topic != "clicks" || err != nil {
		return r, err
	}
	if at.Offset == h.end && at.Epoch != stream.NoEpoch {
		return nil, fmt.Errorf("epoch %d of a batch nobody could read", at.Epoch)
	}
	return &holedReader{Reader: r, h: h}, nil
}

type holedReader struct {
	stream.Reader
	h *holed
}

func (r *holedReader) Read(ctx context.Context, d time.Duration) (*stream.Batch, error) {
	b, err := r.Reader.Read(ctx, d)
	if err != nil || len(b.Records) == 0 || b.Records[0].Offset >= r.h.end {
		return b, err
	}
	if b.Records[0].Offset >= r.h.start {
		return nil, &stream.Corrupt{Topic: "clicks", Start: r.h.start, End: r.h.end, Reason: "bad checksum"}
	}
	b.Records = b.Records[:r.h.start-b.Records[0].Offset]
	b.Next = r.h.start
	r.Reader, err = r.h.Log.Open(ctx, "clicks", 0, stream.At(r.h.start))
	return b, err
}

// A poison record at the log's size limit can still be put aside.
func TestLettersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		huge := strings.Repeat("x", 900<<10)
		message := stream.Message{Key: []byte(huge), Value: []byte(huge), Headers: []click.Header{{Key: "h", Value: []byte(huge)}}}
		if err := b.log.Append(t.Context(), "clicks", []stream.Message{message}); err != nil {
			t.Fatal(err)
		}
		if err := b.run(2 * time.Second); err != nil {
			t.Fatal(err)
		}
		r := b.log.Records(b.topics.Rejected, 0)[0]
		if n := len(r.Key) + len(r.Value) + len(r.Headers.Raw); n > 3*click.LetterBytes {
			t.Errorf("a letter of %d bytes", n)
		}
		if v, _ := r.Headers.Get(click.HeaderBytes); string(v) != fmt.Sprint(len(huge)) {
			t.Errorf("full length %q", v)
		}
	})
}

func TestPace(t *testing.T) {
	t.Parallel()
	p := pace{lead: 100}
	a, b := p.enter(stream.Partition{Number: 1}), p.enter(stream.Partition{Number: 2})
	for _, c := range []struct {
		a, b   int64
		behind bool
		free   bool
	}{
		{click.None, 0, true, true},   // no watermark yet: nothing to wait with
		{500, click.None, true, true}, // the other has none: it may never get one
		{500, 400, true, true},
		{501, 400, true, false},
		{501, 400, false, true}, // the other has nothing to read: it is not slow, it is done
	} {
		a.at(c.a, 0)
		b.at(c.b, 0)
		b.backlog(c.behind)
		if other, waits := a.waits(); waits == c.free || waits && other.Number != 2 {
			t.Errorf("%+v: waits %v for %v", c, waits, other)
		}
	}
	b.backlog(true)
	b.leave()
	if _, waits := a.waits(); waits {
		t.Error("waits for a source that has ended")
	}
}

// A flood of broken records fills the rejected topic no more than it must: the
// first ones are kept, one letter tells of all others, and all are counted.
func TestFloodOfGarbage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.m.cfg.Rule.SectionClicks = 10_000
		for range lettersPerReason + 500 {
			b.put("garbage")
		}
		b.put("", good(1))
		if err := b.run(2 * time.Second); err != nil {
			t.Fatal(err)
		}
		letters := b.log.Records(b.topics.Rejected, 0)
		if len(letters) != lettersPerReason+2 {
			t.Fatalf("%d letters", len(letters))
		}
		last := letters[len(letters)-1]
		offset, _ := last.Headers.Get(click.HeaderOffset)
		detail, _ := last.Headers.Get(click.HeaderDetail)
		if string(offset) != "1000" || !strings.HasPrefix(string(detail), "500 more of this reason up to offset 1499") {
			t.Errorf("offset %s, detail %s", offset, detail)
		}
		if n, _ := last.Headers.Get(click.HeaderRecords); string(n) != "500" {
			t.Errorf("it tells of %s records", n)
		}
		s := b.sections(0)
		a := s[len(s)-1].Account
		if a.Rejected[click.Malformed] != lettersPerReason+500 || a.Rejected[click.Empty] != 1 || a.Routed != 1 {
			t.Errorf("%+v", a)
		}
	})
}

// Told to stop, a source commits what is acknowledged, also when it is waiting
// for records just then: the next start repeats nothing.
func TestCommitsWhenStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1), good(2))
		if err := b.run(200 * time.Millisecond); err != nil { // before a commit is due
			t.Fatal(err)
		}
		if commits := b.commits(); !slices.Equal(commits, []string{"0 open", "2 ended"}) {
			t.Errorf("%v", commits)
		}
	})
}
