package correct

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/reducer/merge"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
)

const (
	minute   = 60_000
	base     = 1_764_000_000_000
	windows  = 4
	reducers = 2
	results  = 2
)

// counts are those of all windows and filters, by "window filter ad".
type counts map[string]int64

func key(window int64, filter, ad string) string {
	return fmt.Sprint((window-base)/minute, " ", filter, " ", ad)
}

// world is an installation between the partials and the store, which goes on a step at a time, whenever the
// job waits, and in another order each time.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	log    *memory.Log
	topics click.Topics
	store  *embedded.Store
	cores  [reducers]*merge.Reducer
	read   [reducers]int
	queues [reducers * (results + 1)][]storage.Batch // rows and marks of each partition, and lists
	now    time.Time
	seen   counts // the last that a reader could take for whole
	whole  []counts

	pace         int                        // of the publisher
	steps, crash int                        // the crash comes with this step
	wake         map[int32][]stream.Message // what lands when all is over
}

var errCrash = errors.New("crash")

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), log: new(memory.Log), topics: click.TopicsOf("clickagg"), store: store,
		now: time.UnixMilli(base), pace: 10, wake: map[int32][]stream.Message{},
	}
	w.log.Create(w.topics.Control, 1)
	w.log.Create(w.topics.Partials, reducers)
	w.log.Create(w.topics.Results, results)
	for r := range w.cores {
		w.cores[r] = merge.New(merge.Config{Reducer: int32(r), Reducers: reducers})
	}
	w.live()
	return w
}

// live has one shard say all windows, and close them for good.
func (w *world) live() {
	for r := range int32(reducers) {
		p := click.Partial{Shards: 1, Position: 1, At: base, Top: 3, Tick: 1000, Last: true, Watermark: base + 100*minute, Closed: base + 90*minute}
		for n := range int64(windows) {
			start := base + n*minute
			if click.ReducerOf(start/minute, reducers) != r {
				continue
			}
			for _, filter := range []string{click.FilterAll, "de"} {
				p.Windows = append(p.Windows, part(start, filter, w.some(start, filter)))
			}
		}
		if err := w.log.Append(w.t.Context(), w.topics.Partials, []stream.Message{{Partition: r, Value: p.Append(nil)}}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.settle()
	w.seen = w.stored()
}

// some makes random rows of a window.
func (w *world) some(int64, string) []click.Row {
	var rows []click.Row
	for i := range 6 {
		if w.rng.IntN(3) > 0 {
			rows = append(rows, click.Row{Ad: fmt.Appendf(nil, "ad-%d", i), Count: 1 + w.rng.Int64N(9)})
		}
	}
	if len(rows) == 0 {
		rows = append(rows, click.Row{Ad: []byte("ad-0"), Count: 1})
	}
	return rows
}

func part(start int64, filter string, rows []click.Row) click.WindowPart {
	d := Compare(start, minute, filter, &Stored{}, rows, 3, nil)
	return click.WindowPart{Filter: filter, Start: start, Size: minute, State: click.Final, Revision: 1, Clicks: d.Clicks, Ads: d.Ads, Rows: rows, Top: d.Top}
}

// step lets something go on: a reducer reads a record, or a writer stores a batch.
func (w *world) step() (moved bool) {
	at := w.rng.IntN(len(w.queues))
	for i := range w.queues {
		if q := &w.queues[(at+i)%len(w.queues)]; len(*q) > 0 && w.rng.IntN(3) > 0 {
			if err := w.store.Apply(w.t.Context(), &(*q)[0]); err != nil {
				w.t.Fatal(err)
			}
			*q = (*q)[1:]
			w.look()
			moved = true
		}
	}
	for r := range w.cores {
		if records := w.log.Records(w.topics.Partials, int32(r)); w.read[r] < len(records) && w.rng.IntN(3) > 0 {
			w.reduce(r, &records[w.read[r]])
			w.read[r]++
			moved = true
		}
	}
	return moved
}

// settle lets all go on until nothing is left.
func (w *world) settle() {
	for quiet := 0; quiet < 50; quiet++ {
		if w.step() {
			quiet = 0
		}
	}
}

func (w *world) reduce(r int, rec *click.Record) {
	core := w.cores[r]
	if click.IsCorrection(rec.Value) {
		var c click.Correction
		if err := c.Parse(rec.Value); err != nil {
			w.t.Fatal(err)
		}
		core.Correct(rec.Offset, &c)
	} else {
		var p click.Partial
		if err := errors.Join(p.Parse(rec.Value), core.Fold(rec.Offset, &p)); err != nil {
			w.t.Fatal(err)
		}
	}
	out := core.Out()
	lists := storage.Batch{Lineages: slices.Clone(out.Lineages)}
	for _, l := range out.Rankings {
		l.Top = clone(l.Top)
		lists.Rankings = append(lists.Rankings, l)
	}
	for p := range results {
		b := storage.Batch{Marks: []storage.Mark{{
			Partition: int32(p), Partitions: results, Reducer: int32(r), Reducers: reducers, Watermark: out.Watermark, Closed: out.Closed,
		}}}
		for _, row := range out.Results {
			if int(row.Ad[len(row.Ad)-1])%results == p {
				b.Results = append(b.Results, row)
			}
		}
		for _, h := range out.Holds {
			b.Marks = append(b.Marks, b.Marks[0])
			b.Marks[len(b.Marks)-1].Hold = h
		}
		w.queues[r*(results+1)+p] = append(w.queues[r*(results+1)+p], b)
	}
	w.queues[r*(results+1)+results] = append(w.queues[r*(results+1)+results], lists)
}

func clone(rows []click.Row) []click.Row {
	out := slices.Clone(rows)
	for i := range out {
		out[i].Ad = slices.Clone(out[i].Ad)
	}
	return out
}

// stored is what a reader finds, lists held against counts.
func (w *world) stored() counts {
	all := counts{}
	for n := range int64(windows) {
		for _, filter := range []string{click.FilterAll, "de"} {
			start := base + n*minute
			s, err := Read(w.t.Context(), w.store, filter, start, minute)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, row := range s.Rows {
				all[key(start, filter, string(row.Ad))] = row.Count
			}
			if d := Compare(start, minute, filter, &s, s.Counts(), 3, nil); d.List {
				all[key(start, filter, "(list)")] = 1
			}
		}
	}
	return all
}

// look reads as a reader does: what is not said to be held is whole.
func (w *world) look() {
	marks, err := w.store.Marks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if held := storage.HeldBy(marks); held.From < held.To || w.seen == nil {
		return
	}
	now := w.stored()
	if maps.Equal(now, w.seen) {
		return
	}
	if !slices.ContainsFunc(w.whole, func(c counts) bool { return maps.Equal(c, now) }) {
		w.t.Fatalf("a part of a correction was there without a hold:\n%v, after\n%v", now, w.seen)
	}
	w.seen = now
}

// Append writes to the log, unless the process dies.
func (l crashing) Append(ctx context.Context, topic string, messages []stream.Message) error {
	w := l.w
	if w.steps++; w.steps != w.crash {
		err := l.Log.Append(ctx, topic, messages)
		w.step()
		return err
	}
	switch w.rng.IntN(3) {
	case 0: // it never left
	case 1:
		if err := l.Log.Append(ctx, topic, messages); err != nil {
			w.t.Fatal(err)
		}
	case 2: // it wakes when others have done its work
		if topic == w.topics.Partials {
			for _, m := range messages {
				m.Value = slices.Clone(m.Value)
				w.wake[m.Partition] = append(w.wake[m.Partition], m)
			}
		}
	}
	return errCrash
}

// crashing is the log as the process that corrects has it.
type crashing struct {
	*memory.Log
	w *world
}

// clock is the world's.
type clock struct{ w *world }

func (c clock) Now() time.Time { return c.w.now }

func (c clock) Sleep(ctx context.Context, d time.Duration) error {
	c.w.now = c.w.now.Add(d)
	c.w.step()
	if c.w.steps++; c.w.steps == c.w.crash {
		return errCrash
	}
	return ctx.Err()
}

func (w *world) publisher() *Publisher {
	return &Publisher{
		Log: crashing{w.log, w}, Store: w.store, Topics: w.topics, Reducers: reducers, Window: minute, Top: 3, Pace: w.pace, Dir: w.t.TempDir(),
		Clock: clock{w}, Metrics: NewMetrics(nil), Logger: zap.NewNop(),
	}
}

// truth is what the windows should be.
type truth map[int64]map[string][]click.Row

func (w *world) truth() truth {
	t := truth{}
	for n := range int64(windows) {
		start := base + n*minute
		t[start] = map[string][]click.Row{}
		for _, filter := range []string{click.FilterAll, "de"} {
			if w.rng.IntN(4) > 0 {
				t[start][filter] = w.some(start, filter)
			}
		}
	}
	return t
}

func (t truth) counts() counts {
	all := counts{}
	for start, filters := range t {
		for filter, rows := range filters {
			for _, row := range rows {
				all[key(start, filter, string(row.Ad))] = row.Count
			}
		}
	}
	return all
}

// work does what a replay does: compare all, publish, end.
func (t truth) work(ctx context.Context, j *Job) error {
	if err := t.compare(ctx, j); err != nil {
		return err
	}
	if err := j.Publish(ctx, func(Progress) error { return nil }); err != nil {
		return err
	}
	return j.End(ctx, "done")
}

func (t truth) compare(ctx context.Context, j *Job) error {
	for n := range int64(windows) {
		start := base + n*minute
		for _, filter := range []string{click.FilterAll, "de"} {
			s, err := Read(ctx, j.Store, filter, start, minute)
			if err != nil {
				return err
			}
			d := Compare(start, minute, filter, &s, t[start][filter], 3, nil)
			if err := j.Add(&d); err != nil {
				return err
			}
		}
	}
	return nil
}

// correct brings the store to the truth, through a crash at a step of the world.
func (w *world) correct(t truth) (crashed bool) {
	w.t.Helper()
	w.whole = append(w.whole, t.counts())
	p := w.publisher()
	run := func(begin func() (*Job, error)) error {
		j, err := begin()
		if err != nil {
			return err
		}
		defer func() { _ = j.Close() }()
		return t.work(w.t.Context(), j)
	}
	first := func() (*Job, error) {
		return p.Begin(w.t.Context(), control.Correction{What: "replay", By: "a test", From: base, To: base + windows*minute})
	}
	for again := run(first); again != nil; {
		if !errors.Is(again, errCrash) {
			w.t.Fatal(again)
		}
		crashed = true
		again = run(func() (*Job, error) { return p.Resume(w.t.Context(), "replay", "another") })
		if errors.Is(again, ErrNone) { // it died before it began, or after it said the end
			again = run(first)
		}
	}
	w.shows(t)
	w.settle()
	w.shows(t)
	return crashed
}

// shows demands that a reader finds the truth, and takes it for whole.
func (w *world) shows(t truth) {
	w.t.Helper()
	if got := w.stored(); !maps.Equal(got, t.counts()) {
		w.t.Fatalf("stored is %v, and should be %v", got, t.counts())
	}
	marks, err := w.store.Marks(w.t.Context())
	if held := storage.HeldBy(marks); err != nil || held.From < held.To {
		w.t.Fatalf("%+v is held in the end, %v", held, err)
	}
}
