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

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// restart begins anew with other rules.
func (b *bench) restart(delay string) {
	b.rules = map[string]string{"watermark.delay": delay}
	b.m = b.mapper()
}

// crash maps for a while and ends as by SIGKILL: the last position is not committed.
func (b *bench) crash(d time.Duration) {
	b.t.Helper()
	before := b.log.OnCommit
	b.log.OnCommit = func(group, topic string, p int32, at stream.Position) error {
		if strings.Contains(at.Metadata, "/ended/") {
			return errors.New("killed")
		}
		return before(group, topic, p, at)
	}
	if err := b.run(d); err != nil {
		b.t.Fatal(err)
	}
	b.log.OnCommit = before
}

func (b *bench) committed() position {
	b.t.Helper()
	at, _, _ := b.log.Committed(b.t.Context(), "g", "clicks", 0)
	p, err := decodePosition(at.Metadata)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func TestOtherRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1), good(2))
		if err := b.run(3 * time.Second); err != nil {
			t.Fatal(err)
		}
		first := b.committed()
		// Case: handed over in order, the next owner may have other rules. It says so in
		// the position before it sends anything, and its term is a later one.
		b.restart("30s")
		b.calls = nil
		b.put(good(3))
		b.crash(1500 * time.Millisecond)
		if i := slices.Index(b.calls, "commit clicks/0 2 open"); i < 0 || slices.ContainsFunc(b.calls[:i], func(c string) bool { return strings.Contains(c, "shuffle") }) {
			t.Errorf("%v", b.calls)
		}
		second := b.committed()
		if second.term <= first.term || second.rules == first.rules || second.ended || !first.ended {
			t.Errorf("%+v, then %+v", first, second)
		}
		for shard := range int32(2) {
			s := b.sections(shard)
			if last := s[len(s)-1]; last.Term != second.term || last.End != 3 {
				t.Errorf("shard %d: %+v", shard, last)
			}
		}
		// Case: it was killed, so others are refused, by name and with the way out.
		b.restart("15s")
		err := b.run(time.Second)
		if !errors.Is(err, control.ErrRules) || !strings.Contains(err.Error(), `watermark.delay was "30s" and is "15s"`) ||
			!strings.Contains(err.Error(), "start all mappers with the old values") {
			t.Errorf("%v", err)
		}
		// Case: a process can ask before it joins the others.
		if err := b.m.Check(t.Context(), []stream.Partition{{Topic: "clicks", Number: 1}, {Topic: "clicks"}}); !errors.Is(err, control.ErrRules) {
			t.Errorf("%v", err)
		}
		if b.committed() != second {
			t.Error("the refused one has committed")
		}
		// Case: the same rules go on, catch up, and end in order; then others may come.
		b.restart("30s")
		if err := b.m.Check(t.Context(), []stream.Partition{{Topic: "clicks"}}); err != nil {
			t.Error(err)
		}
		if err := b.run(time.Second); err != nil {
			t.Fatal(err)
		}
		b.restart("15s")
		if err := b.run(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// An owner that was told to stop before it had caught up with those before it has not
// ended in order: they may have told some shards more.
func TestEndsBeforeTheEdge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1), good(2))
		b.crash(100 * time.Millisecond)
		if p := b.committed(); p.state.Next != 0 || p.ended {
			t.Fatalf("%+v", p)
		}
		b.m = b.mapper()
		ctx, cancel := context.WithCancel(t.Context())
		b.log.OnAppend = func(topic string, _ []stream.Message) error {
			if topic == b.topics.Shuffle {
				cancel() // it has just begun
			}
			return nil
		}
		topic, _ := b.log.Topic(ctx, "clicks")
		if err := b.m.Source(ctx, topic, 0); err != nil {
			t.Fatal(err)
		}
		if b.committed().ended {
			t.Error("it ended where others may have said more")
		}
		b.log.OnAppend = nil
		b.m = b.mapper()
		if err := b.run(time.Second); err != nil {
			t.Fatal(err)
		}
		if p := b.committed(); p.state.Next != 2 || !p.ended {
			t.Errorf("%+v", p)
		}
	})
}

// What was sent and not acknowledged is not committed at the end, and is no end in order.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1))
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		b.log.OnAppend = func(topic string, _ []stream.Message) error {
			if topic != b.topics.Shuffle {
				return nil
			}
			switch n++; n {
			case 2: // after the first click
				b.put(good(2))
			case 3:
				cancel()
				return context.DeadlineExceeded
			}
			return nil
		}
		topic, _ := b.log.Topic(ctx, "clicks")
		if err := b.m.Source(ctx, topic, 0); err != nil {
			t.Fatal(err)
		}
		if p := b.committed(); p.state.Next != 1 || p.ended || n != 3 {
			t.Errorf("%+v after %d requests", p, n)
		}
	})
}

// lossy is a log that has forgotten its positions.
type lossy struct{ stream.Log }

func (lossy) Committed(context.Context, string, string, int32) (stream.Position, bool, error) {
	return stream.Position{}, false, nil
}

func TestPositionLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1), good(2))
		// Case: a new topic with history begins where its log does.
		b.log.Cut("clicks", 0, 1)
		if err := b.run(time.Second); err != nil {
			t.Fatal(err)
		}
		if s := b.sections(0); s[0].Start != 1 {
			t.Errorf("%+v", s[0])
		}
		term := b.committed().term
		// Case: its position is lost, and it was mapped before.
		b.m = b.mapper()
		b.m.log = lossy{b.log}
		if err := b.run(time.Second); !errors.Is(err, ErrLoss) || !strings.Contains(err.Error(), "offsets.retention.minutes") {
			t.Errorf("%v", err)
		}
		// Case: as long as all of its log is there it is mapped again, by a later owner.
		b = newBench(t)
		b.put(good(1))
		for range 2 {
			b.m = b.mapper()
			b.m.log = lossy{b.log}
			if err := b.run(time.Second); err != nil {
				t.Fatal(err)
			}
		}
		s := b.sections(0)
		if last := s[len(s)-1]; last.End != 1 || last.Term <= term || last.Term == s[0].Term {
			t.Errorf("%+v after %+v", last, s[0])
		}
	})
}

// A source that has moved to another process ends quietly and says why.
func TestMoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1))
		n := 0
		b.log.OnCommit = func(string, string, int32, stream.Position) error {
			if n++; n == 2 {
				return fmt.Errorf("not yours: %w", stream.ErrNotOwner)
			}
			return nil
		}
		if err := b.run(5 * time.Second); !errors.Is(err, stream.ErrNotOwner) || n != 2 {
			t.Errorf("%v after %d commits", err, n)
		}
		// Case: told to stop because of that.
		b.m = b.mapper()
		b.log.OnCommit = func(_, _ string, _ int32, at stream.Position) error {
			if strings.Contains(at.Metadata, "/ended/") {
				return fmt.Errorf("not yours: %w", stream.ErrNotOwner)
			}
			return nil
		}
		if err := b.run(5 * time.Second); err != nil {
			t.Errorf("%v", err)
		}
	})
}

// skewed is a log as a process with a wrong clock sees it, whose brokers tell the
// right time.
type skewed struct {
	stream.Log
	by time.Duration
}

func (s skewed) BrokerTime(at time.Time) (time.Time, bool) { return at.Add(-s.by), true }

func (s skewed) Open(ctx context.Context, topic string, p int32, at stream.Place) (stream.Reader, error) {
	r, err := s.Log.Open(ctx, topic, p, at)
	return skewedReader{r, s.by}, err
}

type skewedReader struct {
	stream.Reader
	by time.Duration
}

func (r skewedReader) Read(ctx context.Context, d time.Duration) (*stream.Batch, error) {
	b, err := r.Reader.Read(ctx, d)
	if err == nil {
		b.Asked = b.Asked.Add(r.by)
	}
	return b, err
}

type wrong struct {
	stream.Wall
	by time.Duration
}

func (w wrong) Now() time.Time { return w.Wall.Now().Add(w.by) }

// A mapper whose clock is a day ahead or behind says the same as one whose is right.
func TestClockIsWrong(t *testing.T) {
	t.Parallel()
	say := func(t *testing.T, by time.Duration) (out []string) {
		b := newBench(t)
		b.m = New(skewed{b.log, by}, b.m.cfg, 2, wrong{by: by}, NewMetrics(nil), b.m.logger)
		b.put(good(1), good(2))
		if err := b.run(20 * time.Second); err != nil { // with a silence at the end
			t.Fatal(err)
		}
		for _, s := range b.sections(0) {
			out = append(out, fmt.Sprint(s.End, s.Watermark, s.Closed, s.At))
		}
		return out
	}
	var want []string
	for i, by := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			got := say(t, by)
			if i == 0 {
				want = got
			}
			if !slices.Equal(got, want) || len(got) < 20 {
				t.Errorf("a clock wrong by %v:\n%q\nwant\n%q", by, got, want)
			}
		})
	}
}

func TestRetire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(good(1), good(2))
		retire := func() (int, error) { return Retire(t.Context(), b.log, b.m.cfg, "clicks") }
		b.crash(time.Second)
		if n, err := retire(); !errors.Is(err, ErrAtWork) || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
		b.m = b.mapper()
		if err := b.run(time.Second); err != nil {
			t.Fatal(err)
		}
		for range 2 { // partition 1 never had an owner
			if n, err := retire(); err != nil || n != 1 {
				t.Errorf("%d, %v", n, err)
			}
		}
		said := func(retired bool) {
			t.Helper()
			facts, err := control.Load(t.Context(), b.log, b.m.cfg.Topics.Control)
			if all := facts.Mapped(); err != nil || len(all) != 1 || all[0].Name != "clicks" || (all[0].Retired != click.None) != retired {
				t.Errorf("%+v, %v", all, err)
			}
		}
		said(true)
		was := b.committed()
		for shard := range int32(2) {
			s := b.sections(shard)
			last := s[len(s)-1]
			if !last.Final || last.Start != 2 || last.End != 2 || last.Term != was.term || last.Account != was.state.Account || last.Source.Partition != 0 {
				t.Errorf("shard %d: %+v", shard, last)
			}
		}
		// Case: it comes back where it stopped, with a later term.
		b.m = b.mapper()
		b.put(good(3))
		if err := b.run(time.Second); err != nil {
			t.Fatal(err)
		}
		said(false)
		s := b.sections(0)
		if last := s[len(s)-1]; last.Final || last.Term <= was.term || last.End != 3 {
			t.Errorf("%+v", last)
		}
		if _, err := Retire(t.Context(), b.log, b.m.cfg, "nothing"); !errors.Is(err, stream.ErrNoTopic) {
			t.Errorf("%v", err)
		}
	})
}

func TestDecodePositionRefuses(t *testing.T) {
	t.Parallel()
	good := position{topic: click.TopicID{1}, rules: "0123456789abcdef", term: 7, ended: true}
	good.state.Seen, good.state.LastAppend, good.state.Live, good.state.Closed = click.None, click.None, click.None, click.None
	text := good.encode()
	if p, err := decodePosition(text); err != nil || p != good {
		t.Fatalf("%q: %+v, %v", text, p, err)
	}
	f := strings.Split(text, "/")
	with := func(i int, word string) string {
		g := slices.Clone(f)
		g[i] = word
		return strings.Join(g, "/")
	}
	for name, text := range map[string]string{
		"nothing": "", "another program's": "consumed by x", "topic": with(0, "0102"), "not hex": with(0, strings.Repeat("zz", 16)),
		"term": with(2, "-1"), "no term": with(2, ""), "word": with(3, "closed"), "state": with(4, "AQ"), "cut": strings.Join(f[:4], "/"),
	} {
		if p, err := decodePosition(text); !errors.Is(err, errPosition) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}
