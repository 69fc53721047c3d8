package aggregator

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var source = click.Source{Topic: "clicks", ID: click.TopicID{1}}

// bench is an installation with one shard and two reducers.
type bench struct {
	t      *testing.T
	log    *memory.Log
	blobs  blob.Store
	topics click.Topics
	next   int64 // offset of the source
	rules  click.Rules
}

func newBench(t *testing.T) *bench {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		t: t, log: new(memory.Log), blobs: d, topics: click.TopicsOf("clickagg"),
		rules: click.Rules{Horizon: 600_000, MaxIDs: 100, MaxAds: 100, Top: 10, Tick: 1000},
	}
	b.log.Create(b.topics.Shuffle, 1)
	b.log.Create(b.topics.Partials, 2)
	b.log.Create(b.topics.Rejected, 1)
	return b
}

// send appends a section with clicks of one ad at event times in minutes.
func (b *bench) send(at, watermark int64, minutes ...int64) {
	b.t.Helper()
	s := click.Section{
		Source: source, Start: b.next, Watermark: watermark * 60_000, Closed: (watermark - 1) * 60_000, At: at, Sources: 1, Rules: b.rules,
	}
	s.Clicks.Reset(b.next)
	for _, m := range minutes {
		s.Clicks.Add(&click.Routed{Offset: b.next, Time: m * 60_000, ID: click.ID{Lo: uint64(b.next)}, Ad: []byte("a")})
		b.next++
	}
	s.End = b.next
	if err := b.log.Append(b.t.Context(), b.topics.Shuffle, []stream.Message{{Value: s.Append(nil)}}); err != nil {
		b.t.Fatal(err)
	}
}

// run runs the shard for a while of the bubble's time, and returns what it said of
// itself just before the end.
func (b *bench) run() (views []*View, err error) {
	b.t.Helper()
	m := NewMetrics(nil)
	a := New(b.log, b.blobs, Config{
		Group: "g", Cluster: "c", Topics: b.topics, Snapshots: time.Second, Rejected: 1,
		Window: window.Config{Shards: 1, Reducers: 2, Size: 60_000, Filter: click.FilterAll},
	}, stream.Wall{}, m, zap.NewNop())
	ctx, cancel := context.WithTimeout(b.t.Context(), 3*time.Second)
	defer cancel()
	said := make(chan []*View, 1)
	last := time.AfterFunc(2900*time.Millisecond, func() { said <- m.Shards() })
	err = a.Shard(ctx, 0)
	if !last.Stop() {
		views = <-said
	}
	if left := m.Shards(); len(left) > 0 {
		b.t.Errorf("it has ended and says %+v", left[0])
	}
	return views, err
}

// counts adds up what the reducers were told last of each minute.
func (b *bench) counts() map[int64]click.Row {
	b.t.Helper()
	out := map[int64]click.Row{}
	for r := range int32(2) {
		for _, rec := range b.log.Records(b.topics.Partials, r) {
			var p click.Partial
			if err := p.Parse(rec.Value); err != nil {
				b.t.Fatal(err)
			}
			for _, w := range p.Windows {
				if minute := w.Start / 60_000; minute%2 != int64(r) {
					b.t.Errorf("minute %d went to reducer %d", minute, r)
				} else if len(w.Rows) > 0 {
					out[minute] = w.Rows[0]
				}
			}
		}
	}
	return out
}

func TestShard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.send(1000, 0, 10, 10, 11)
		b.send(2000, 9, 11, 11)
		v, err := b.run()
		if err != nil {
			t.Fatal(err)
		}
		if c := b.counts(); c[10].Count != 2 || c[11].Count != 3 {
			t.Errorf("counts: %v", c)
		}
		if len(v) != 1 || v[0].Position != 2 || v[0].End != 2 || v[0].HeldBy != source {
			t.Errorf("view: %+v", v[0])
		}
		// Case: the next process goes on from the snapshot, whatever happened to the log before it.
		b.log.Cut(b.topics.Shuffle, 0, 2)
		b.send(3000, 12, 10, 11)
		if _, err := b.run(); err != nil {
			t.Fatal(err)
		}
		if c := b.counts(); c[10].Count != 3 || c[11].Count != 4 {
			t.Errorf("counts after the restart: %v", c)
		}
	})
}

// A click over a limit is not counted, and listed with its origin.
func TestCrowdedIsListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.rules.MaxIDs = 2
		b.send(1000, 0, 10, 10, 10)
		if _, err := b.run(); err != nil {
			t.Fatal(err)
		}
		letters := b.log.Records(b.topics.Rejected, 0)
		if len(letters) != 1 {
			t.Fatalf("%d letters", len(letters))
		}
		for name, want := range map[string]string{
			click.HeaderReason: "crowded", click.HeaderTopic: "clicks", click.HeaderPartition: "0", click.HeaderOffset: "2",
		} {
			if v, _ := letters[0].Headers.Get(name); string(v) != want {
				t.Errorf("%s: %q, want %q", name, v, want)
			}
		}
	})
}

func TestShardStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(b *bench)
		is     func(error) bool
	}{
		"at a gap": {
			func(b *bench) { b.next += 5; b.send(2000, 0, 10) },
			func(err error) bool { return errors.As(err, new(window.Gap)) },
		},
		"at a foreign record": {
			func(b *bench) {
				_ = b.log.Append(b.t.Context(), b.topics.Shuffle, []stream.Message{{Value: []byte("hello")}})
			},
			func(err error) bool {
				return errors.Is(err, click.ErrWire) && strings.Contains(err.Error(), "aggregator 0: offset 1")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			synctest.Test(t, func(t *testing.T) {
				b.t = t
				b.send(1000, 0, 10)
				c.damage(b)
				if _, err := b.run(); err == nil || !c.is(err) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
