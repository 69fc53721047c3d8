package writer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stage"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
)

func wantDiary(t *testing.T, w *world, want ...string) {
	t.Helper()
	if !slices.Equal(w.diary, want) {
		t.Errorf("it did\n  %s\nnot\n  %s", strings.Join(w.diary, ", "), strings.Join(want, ", "))
	}
}

func TestStoresThenCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.first = 10
	for i := range int64(7) {
		w.result(fmt.Sprintf("ad-%d", i), 0, 1, i+1)
	}
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	// Reads take 0.4 s: the first commit comes at once, the next a second later,
	// the last when it is told to stop.
	wantDiary(t, w, "open 10", "apply", "commit 13", "apply", "apply", "commit 17", "close")
	if len(w.applied) != 7 || w.at.Metadata == "" {
		t.Errorf("%d rows, position %+v", len(w.applied), w.at)
	}
	v := w.views[0]
	if v.Next != 17 || v.End != 17 || v.Rows != 7 || v.Topic != topics.Results || v.Partition != mine || v.Fault != nil {
		t.Errorf("%+v", v)
	}
}

func TestGoesOnWhereItCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	w.diary, w.rows = nil, nil
	w.result("a", 0, 2, 2)
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	wantDiary(t, w, "open 1", "apply", "commit 2", "close")
	w.diary = nil
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	wantDiary(t, w, "open 2", "close")
}

func TestACrashBeforeTheCommitRepeatsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	w.result("a", 0, 2, 2)
	w.result("b", 0, 5, 2)
	w.commitErr = errors.New("no coordinator")
	if err := w.run(w.config()); err != nil {
		t.Fatal("a position that cannot be committed is no reason to stop:", err)
	}
	before := maps.Clone(w.applied)
	w.diary, w.commitErr = nil, nil
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	wantDiary(t, w, "open 0", "apply", "commit 3", "close")
	if !maps.EqualFunc(before, w.applied, func(a, b click.Result) bool { return a.Count == b.Count && a.Version == b.Version }) {
		t.Errorf("%+v became %+v", before, w.applied)
	}
}

// A writer whose partition has moved ends and says so, not in the log but to who
// started it.
func TestEndsWhenThePartitionHasMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	w.commitErr = fmt.Errorf("not yours: %w", stream.ErrNotOwner)
	lines, seen := observer.New(zap.InfoLevel)
	w.logger = zap.New(lines)
	if err := w.run(w.config()); !errors.Is(err, stream.ErrNotOwner) || seen.Len() > 0 {
		t.Errorf("%v; the log says %v", err, seen.All())
	}
	// Case: told to stop, it has nothing more to remember.
	w = newWorld(t)
	w.result("a", 0, 1, 1)
	w.commitErr, w.logger = fmt.Errorf("not yours: %w", stream.ErrNotOwner), zap.New(lines)
	w.refuse = func() (error, bool) { w.stop(); return nil, true }
	if err := w.run(w.config()); err != nil || seen.Len() > 0 {
		t.Errorf("%v; the log says %v", err, seen.All())
	}
}

// A log whose records were written anew by another leader is a loss.
func TestAnotherLeadersRecordsAreALoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	w.result("a", 0, 2, 2)
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	w.elected++
	if err := w.run(w.config()); !errors.Is(err, stage.ErrLoss) {
		t.Errorf("%v", err)
	}
}

func TestWaitsForAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	tries := 0
	w.refuse = func() (error, bool) {
		if tries++; tries <= 9 {
			return fmt.Errorf("%w: for now", storage.ErrUnavailable), false
		}
		return nil, true
	}
	w.slept = func(time.Duration) {
		// The lag grows while nothing is read.
		if v := w.metrics.Partitions()[0]; !errors.Is(v.Fault, storage.ErrUnavailable) || v.Next != 0 || v.End != int64(tries) {
			t.Errorf("while the store is away: %+v", v)
		}
		w.result("b", 0, 1, int64(tries)+1)
	}
	lines, seen := observer.New(zap.InfoLevel)
	w.logger = zap.New(lines)
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	want, mosts := []string{"open 0"}, []time.Duration{}
	for _, wait := range []string{"100ms", "200ms", "400ms", "800ms", "1.6s", "3.2s", "6.4s", "10s", "10s"} {
		want = append(want, "refuse", "sleep")
		most, _ := time.ParseDuration(wait)
		mosts = append(mosts, most)
	}
	wantDiary(t, w, append(want, "apply", "commit 1", "apply", "apply", "apply", "commit 10", "close")...)
	for i, d := range w.waits {
		if d < mosts[i]/2 || d >= mosts[i] {
			t.Errorf("it waits %v where %v is the most", d, mosts[i])
		}
	}
	if said := seen.All(); len(said) != 2 || said[0].Level != zap.WarnLevel || said[1].Message != "the store takes results again" {
		t.Errorf("the log says %v", said)
	}
	if v := w.views[0]; v.Fault != nil || v.Retries != 9 {
		t.Errorf("afterwards: %+v", v)
	}
}

func TestStopsWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	w.refuse = func() (error, bool) { return storage.ErrUnavailable, true }
	w.slept = func(time.Duration) { w.stop() }
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	wantDiary(t, w, "open 0", "refuse", "sleep", "close") // and commits nothing
}

func TestStopsAtABatchNoStoreTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	w.refuse = func() (error, bool) { return fmt.Errorf("%w: another window", storage.ErrInvalid), false }
	if err := w.run(w.config()); !errors.Is(err, storage.ErrInvalid) {
		t.Error(err)
	}
	wantDiary(t, w, "open 0", "refuse", "close")
}

func TestStopsAtARecordItCannotRead(t *testing.T) {
	t.Parallel()
	header := func(key, value string) click.Header { return click.Header{Key: key, Value: []byte(value)} }
	reducer := header(click.HeaderReducer, "0/1")
	for name, add := range map[string]func(w *world){
		"garbage":               func(w *world) { w.add([]byte("a"), []byte("{}")) },
		"an empty value":        func(w *world) { w.add([]byte("a"), []byte{}) },
		"a tombstone":           func(w *world) { w.add([]byte("a"), nil) },
		"no headers":            func(w *world) { w.add(nil, nil) },
		"a mark with a key":     func(w *world) { w.add([]byte("a"), nil, header(click.HeaderWatermark, "1"), reducer) },
		"a mark without time":   func(w *world) { w.add(nil, nil, header(click.HeaderWatermark, ""), reducer) },
		"a mark of nobody":      func(w *world) { w.add(nil, nil, header(click.HeaderWatermark, "1")) },
		"a mark of no reducer":  func(w *world) { w.mark(1, "1/1") },
		"a mark of one of none": func(w *world) { w.mark(1, "0") },
		"a negative reducer":    func(w *world) { w.mark(1, "-1/1") },
	} {
		w := newWorld(t)
		w.reads = []int{1, 2}
		w.result("good", 0, 1, 1)
		w.result("good", 0, 2, 2)
		add(w)
		w.result("after", 0, 1, 1)
		err := w.run(w.config())
		if err == nil || !strings.Contains(err.Error(), "test.results/2: offset 2: unreadable record") {
			t.Errorf("%s: %v", name, err)
		}
		wantDiary(t, w, "open 0", "apply", "commit 1", "apply", "commit 2", "close")
	}
}

func TestRefusesALogThatLostSomething(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(w *world){
		"retention":  func(w *world) { w.first = 5 },
		"tail cut":   func(w *world) { w.records = w.records[:1] },
		"made again": func(w *world) { w.topic.ID[0]++ },
	} {
		w := newWorld(t)
		w.result("a", 0, 1, 1)
		w.result("b", 0, 1, 1)
		if err := w.run(w.config()); err != nil {
			t.Fatal(err)
		}
		spoil(w)
		if err := w.run(w.config()); !errors.Is(err, stage.ErrLoss) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMarksSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	w.mark(-5, "1/4")
	w.mark(60_000, "3/4")
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	want := []storage.Mark{
		{Partition: mine, Partitions: 3, Reducer: 1, Reducers: 4, Watermark: -5, Closed: click.None},
		{Partition: mine, Partitions: 3, Reducer: 3, Reducers: 4, Watermark: 60_000, Closed: click.None},
	}
	if !slices.Equal(w.marks, want) {
		t.Errorf("%+v", w.marks)
	}
}

func TestStoresEachRowOnceABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.reads = []int{100}
	for version := range int64(10) {
		w.result("a", 0, version+1, version+1)
		w.result("b", 0, 20-version, 20-version)
		w.result("a", 60_000, 1, 1)
	}
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.rows, []int{3}) || w.applied["a 0 000"].Count != 10 || w.applied["b 0 000"].Count != 20 {
		t.Errorf("%v: %+v", w.rows, w.applied)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.reads = []int{95}
	for i := range int64(95) {
		w.result(fmt.Sprintf("ad-%d", i), 0, 1, 1)
	}
	cfg := w.config()
	cfg.MaxRows = 40
	if err := w.run(cfg); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.rows, []int{40, 40, 15}) {
		t.Error(w.rows)
	}
}

func TestStopsWithinARead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.reads = []int{9}
	for i := range int64(9) {
		w.result(fmt.Sprintf("ad-%d", i), 0, 1, 1)
	}
	w.refuse = func() (error, bool) {
		if len(w.rows) == 1 {
			return storage.ErrUnavailable, false
		}
		return nil, true
	}
	w.slept = func(time.Duration) { w.stop() }
	cfg := w.config()
	cfg.MaxRows = 4
	if err := w.run(cfg); err != nil {
		t.Fatal(err)
	}
	wantDiary(t, w, "open 0", "apply", "refuse", "sleep", "commit 4", "close")
}

func TestRankings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic.Name = topics.Rankings
	w.reads = []int{3}
	for version := range int64(3) {
		r := click.Ranking{
			Start: 0, Size: 60_000, Filter: click.FilterAll, State: click.Final, Version: version + 1,
			Top: []click.Row{{Ad: []byte("a"), Count: version}},
		}
		w.add(nil, r.AppendJSON(nil))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.stop = stop
	if err := New(w, w, w.config(), clock{w}, w.metrics, zap.NewNop()).Rankings(ctx, mine); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.rows, []int{1}) || w.lists[0].Version != 3 || w.lists[0].Top[0].Count != 2 {
		t.Errorf("%v: %+v", w.rows, w.lists)
	}
}

// Lineages come with the rankings, and are told from them by a header alone.
func TestLineages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic.Name = topics.Rankings
	l := click.Lineage{Start: 60_000, Size: 60_000, State: click.Final, Version: 7, Reducers: 1, Shards: []int64{3}}
	r := click.Ranking{Start: 60_000, Size: 60_000, Filter: click.FilterAll, State: click.Final, Version: 7}
	header := click.Header{Key: click.HeaderLineage, Value: []byte("0/1")}
	w.add(nil, r.AppendJSON(nil))
	w.add(nil, l.AppendJSON(nil), header)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.stop = stop
	if err := New(w, w, w.config(), clock{w}, w.metrics, zap.NewNop()).Rankings(ctx, mine); err != nil {
		t.Fatal(err)
	}
	if len(w.traced) != 1 || w.traced[0].Version != 7 || w.lists[60_000].Version != 7 {
		t.Errorf("%+v, %+v", w.traced, w.lists)
	}
	w.add(nil, r.AppendJSON(nil), header)
	err := New(w, w, w.config(), clock{w}, w.metrics, zap.NewNop()).Rankings(t.Context(), mine)
	if !errors.Is(err, click.ErrWire) || !strings.Contains(err.Error(), "offset 2") {
		t.Errorf("a ranking that says it is a lineage: %v", err)
	}
}

// TestNothingIsLost reads random results in random batches into a store that is
// often away, sometimes after it took the batch, with restarts, and compares the
// store with the newest of everything that was said.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		want := map[string]int64{}
		for range 3 {
			for range rng.IntN(60) {
				ad, start, version := fmt.Sprintf("ad-%d", rng.IntN(6)), rng.Int64N(3)*60_000, 1+rng.Int64N(50)
				w.result(ad, start, version*7, version)
				k := fmt.Sprintf("%s %d %s", ad, start, click.FilterAll)
				want[k] = max(want[k], version)
				w.reads = append(w.reads, 1+rng.IntN(9))
			}
			w.refuse = func() (error, bool) {
				if rng.IntN(3) == 0 {
					return storage.ErrUnavailable, rng.IntN(2) == 0
				}
				return nil, true
			}
			w.commitErr = nil
			if rng.IntN(3) == 0 {
				w.commitErr = errors.New("killed before the commit")
			}
			cfg := w.config()
			cfg.MaxRows = 1 + rng.IntN(10)
			if err := w.run(cfg); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			got := map[string]int64{}
			for k, r := range w.applied {
				got[k] = r.Version
				if r.Count != r.Version*7 {
					t.Fatalf("seed %d: %s has version %d with count %d", seed, k, r.Version, r.Count)
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("seed %d: %v, want %v", seed, got, want)
			}
		}
	}
}

func TestStopsWithoutATopic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic.Name = "another"
	if err := w.run(w.config()); !errors.Is(err, stream.ErrNoTopic) {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	w := newWorld(t)
	w.metrics = NewMetrics(reg)
	w.result("a", 0, 1, 1)
	got := map[string]float64{}
	w.closing = func() {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"clickagg_writer_rows_total": 1, "clickagg_writer_retries_total": 0, "clickagg_writer_refused_records_total": 0, "clickagg_writer_lag_records": 0}
	if !maps.Equal(got, want) {
		t.Error(got)
	}
}

func BenchmarkCollect(b *testing.B) {
	const n = 20_000
	records := make([]click.Record, n)
	for i := range records {
		r := click.Result{
			Ad: fmt.Appendf(nil, "ad-%d", i*7919%10_000), Start: 1574553600000, Size: 60_000, Filter: click.FilterAll,
			Count: 3, Revision: 1, State: click.Provisional, Version: int64(i + 1),
		}
		records[i] = click.Record{Key: r.Ad, Value: r.AppendJSON(nil)}
	}
	r := rows{window: minute}
	b.ReportAllocs()
	for b.Loop() {
		r.reset(0, 1)
		for i := range records {
			if err := r.result(&records[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
}

// A store that is not the one that was written to is filled from the start, as
// long as the results are all there.
func TestAnotherStoreIsFilledAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", 0, 1, 1)
	w.result("b", 0, 1, 1)
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	w.renamed, w.diary, w.applied = "2", nil, map[string]click.Result{}
	if err := w.run(w.config()); err != nil {
		t.Fatal(err)
	}
	if len(w.applied) != 2 {
		t.Errorf("%d rows in the new store, want 2; %v", len(w.applied), w.diary)
	}
	w.renamed, w.first = "3", 5
	if err := w.run(w.config()); !errors.Is(err, stage.ErrLoss) {
		t.Errorf("with the first results gone: %v", err)
	}
}
