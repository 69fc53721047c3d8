package reducer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/reducer/merge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an installation with two shards and one reducer.
type bench struct {
	t      *testing.T
	log    *memory.Log
	blobs  blob.Store
	topics click.Topics
	at     [2]int64 // position up to which a shard has spoken
}

func newBench(t *testing.T) *bench {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, log: new(memory.Log), blobs: d, topics: click.TopicsOf("clickagg")}
	b.log.Create(b.topics.Partials, 1)
	b.log.Create(b.topics.Results, 3)
	b.log.Create(b.topics.Rankings, 1)
	return b
}

// say appends what a shard says of one ad in minute 10.
func (b *bench) say(shard int32, watermark int64, ad string, count int64, state click.State) {
	b.t.Helper()
	b.at[shard]++
	row := []click.Row{{Ad: []byte(ad), Count: count}}
	p := click.Partial{
		Shard: shard, Shards: 2, Prev: b.at[shard] - 1, Position: b.at[shard], At: b.at[shard] * 1000, Top: 10, Tick: 1000,
		Last: true, Watermark: watermark * 60_000, Closed: (watermark - 5) * 60_000,
		Windows: []click.WindowPart{{
			Filter: click.FilterAll, Start: 600_000, Size: 60_000, State: state, Revision: 1, Clicks: count, Ads: 1, Rows: row, Top: row,
		}},
	}
	if err := b.log.Append(b.t.Context(), b.topics.Partials, []stream.Message{{Value: p.Append(nil)}}); err != nil {
		b.t.Fatal(err)
	}
}

// run runs the reducer for a while of the bubble's time, and returns what it said of
// itself just before the end.
func (b *bench) run() (views []*View, err error) {
	b.t.Helper()
	m := NewMetrics(nil)
	r := New(b.log, b.blobs, Config{
		Group: "g", Cluster: "c", Topics: b.topics, Snapshots: time.Second, Results: 3, Rankings: 1,
		Merge: merge.Config{Reducers: 1},
	}, stream.Wall{}, m, zap.NewNop())
	ctx, cancel := context.WithTimeout(b.t.Context(), 3*time.Second)
	defer cancel()
	said := make(chan []*View, 1)
	last := time.AfterFunc(2900*time.Millisecond, func() { said <- m.Reducers() })
	err = r.Partition(ctx, 0)
	if !last.Stop() {
		views = <-said
	}
	return views, err
}

// TestPartition: rows go out by their ad, marks to every partition and after the
// rows they vouch for, and the merged list names the ads of both shards.
func TestPartition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.say(0, 10, "a", 3, click.Provisional)
		b.say(1, 11, "b", 5, click.Final)
		b.say(0, 11, "a", 4, click.Final)
		v, err := b.run()
		if err != nil {
			t.Fatal(err)
		}
		last := map[string]click.Result{}
		for p := range int32(3) {
			records := b.log.Records(b.topics.Results, p)
			if n := len(records); n == 0 || records[n-1].Value != nil {
				t.Fatalf("partition %d does not end with a mark", p)
			}
			mark := records[len(records)-1]
			at, _ := mark.Headers.Get(click.HeaderWatermark)
			who, _ := mark.Headers.Get(click.HeaderReducer)
			if string(at) != "660000" || string(who) != "0/1" {
				t.Errorf("mark %q of %q", at, who)
			}
			for _, r := range records {
				if r.Value == nil {
					continue
				}
				res, err := click.ParseResult(r.Value)
				if err != nil || string(r.Key) != string(res.Ad) {
					t.Fatalf("key %q: %v", r.Key, err)
				}
				last[string(res.Ad)] = res
			}
		}
		if a := last["a"]; a.Count != 4 || a.State != click.Final || a.Version != 3 {
			t.Errorf("a: %+v", a)
		}
		rankings := b.log.Records(b.topics.Rankings, 0)
		traced := rankings[len(rankings)-1]
		lineage, err := click.ParseLineage(traced.Value)
		who, _ := traced.Headers.Get(click.HeaderLineage)
		if err != nil || string(traced.Key) != "1970-01-01T00:10:00Z/lineage" || string(who) != "0/1" {
			t.Fatalf("key %q of %q: %v", traced.Key, who, err)
		}
		if lineage.Start != 600_000 || lineage.State != click.Final || lineage.Version != 3 || len(lineage.Shards) != 2 {
			t.Errorf("lineage: %+v", lineage)
		}
		final := rankings[len(rankings)-2]
		list, err := click.ParseRanking(final.Value)
		if err != nil || string(final.Key) != "1970-01-01T00:10:00Z/000" {
			t.Fatalf("key %q: %v", final.Key, err)
		}
		if len(list.Top) != 2 || string(list.Top[0].Ad) != "b" || list.Clicks != 9 || list.State != click.Final {
			t.Errorf("list: %+v", list)
		}
		if len(v) != 1 || v[0].Position != 3 || v[0].End != 3 {
			t.Errorf("view: %+v", v)
		}
		// Case: a repeat after a restart says nothing new.
		before := len(b.log.Records(b.topics.Rankings, 0))
		b.at[0]--
		b.say(0, 11, "a", 4, click.Final)
		if _, err := b.run(); err != nil {
			t.Fatal(err)
		}
		if after := len(b.log.Records(b.topics.Rankings, 0)); after != before {
			t.Errorf("%d rankings after a repeat, %d before", after, before)
		}
	})
}

func TestPartitionStops(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.say(0, 10, "a", 3, click.Provisional)
		b.at[0]++
		b.say(0, 10, "a", 5, click.Provisional)
		_, err := b.run()
		if !errors.As(err, new(*merge.Gap)) || !strings.HasPrefix(err.Error(), "reducer 0: offset 1: fold") {
			t.Errorf("%v", err)
		}
	})
}

// correct appends a record of a correction of minute 10.
func (b *bench) correct(c click.Correction) {
	b.t.Helper()
	c.Number, c.From, c.To, c.Filter, c.Revision = 1, 600_000, 660_000, click.FilterAll, 2
	if err := b.log.Append(b.t.Context(), b.topics.Partials, []stream.Message{{Value: c.Append(nil)}}); err != nil {
		b.t.Fatal(err)
	}
}

// TestCorrection: a hold goes to every partition of the results before and after what changes, and
// what cannot be read stops nobody.
func TestCorrection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		b.t = t
		b.say(0, 30, "a", 4, click.Final)
		b.say(1, 30, "b", 5, click.Final)
		b.correct(click.Correction{Step: click.Begin})
		b.correct(click.Correction{Step: click.Change, Rows: []click.Row{{Ad: []byte("a")}}, Last: true, Clicks: 5, Ads: 1, Top: []click.Row{{Ad: []byte("b"), Count: 5}}})
		broken := (&click.Correction{Step: click.End, Number: 1, To: 1}).Append(nil)
		if err := b.log.Append(t.Context(), b.topics.Partials, []stream.Message{{Value: broken[:len(broken)-1]}}); err != nil {
			t.Fatal(err)
		}
		b.correct(click.Correction{Step: click.End})
		v, err := b.run()
		if err != nil || len(v) != 1 || v[0].Passed != 1 || v[0].Hold != (click.Hold{Number: 1, From: 600_000, To: 660_000, Done: true}) {
			t.Fatalf("%+v, %v", v, err)
		}
		zeros := 0
		for p := range int32(3) {
			var holds []string
			for _, r := range b.log.Records(b.topics.Results, p) {
				hold, held := r.Headers.Get(click.HeaderHold)
				switch {
				case held:
					if at, _ := r.Headers.Get(click.HeaderWatermark); string(at) != "1800000" {
						t.Errorf("a hold at %q", at)
					}
					holds = append(holds, string(hold))
				case r.Value != nil && strings.Contains(string(r.Value), `"count":0,"revision":2,"state":"corrected"`):
					if zeros++; len(holds) != 1 {
						t.Errorf("a count changed after the holds %v", holds)
					}
				}
			}
			if want := "1/600000/660000/open 1/600000/660000/done"; strings.Join(holds, " ") != want {
				t.Errorf("partition %d has holds %v", p, holds)
			}
		}
		if lists := b.log.Records(b.topics.Rankings, 0); zeros != 1 || !strings.Contains(string(lists[len(lists)-1].Value), `"correction":1`) {
			t.Errorf("%d counts became 0; the last of the rankings: %s", zeros, lists[len(lists)-1].Value)
		}
	})
}
