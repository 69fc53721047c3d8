package writer

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/carry"
)

var topics = click.TopicsOf("test")

// world is one partition in memory, the store behind it, and a diary of what
// happened in which order. When the log is read to its end the run is told to
// stop, so that everything happens in the test's own goroutine.
type world struct {
	stream.Log
	storage.Store
	t       *testing.T
	topic   stream.Topic
	first   int64 // offset of the log's start
	records []click.Record
	at      *stream.Position
	reads   []int // sizes of the next batches; 3 when used up
	now     time.Time
	renamed string // of the store; another name is another store
	elected int32  // leaders that came anew
	diary   []string
	stop    context.CancelFunc
	metrics *carry.Metrics
	views   []*carry.View // what the writer last said of itself
	closing func()        // called before it ends
	logger  *zap.Logger

	applied map[string]click.Result
	lists   map[int64]click.Ranking
	traced  []click.Lineage
	marks   []storage.Mark
	touches []storage.Touch
	kept    []storage.Mark // those the store had before
	refused error          // what asking for them comes to, once
	rows    []int          // of each Apply
	// refuse, if set, says what Apply returns; it applies the batch when told to.
	refuse func() (err error, applied bool)
	// poison, if set, tells whether a batch has something that no store takes.
	poison    func(b *storage.Batch) bool
	letters   []stream.Message
	lettersAt []int // how far was committed when each came
	letterErr error
	commitErr error
	slept     func(time.Duration)
	waits     []time.Duration
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, topic: stream.Topic{Name: topics.Results, ID: click.TopicID{1, 2}, Partitions: 3},
		now: time.Unix(1_700_000_000, 0), metrics: NewMetrics(nil), logger: zap.NewNop(),
		applied: map[string]click.Result{}, lists: map[int64]click.Ranking{},
	}
}

const mine = 2 // the partition under test

// ID implements storage.Store.
func (w *world) ID() string { return "store" + w.renamed }

func (w *world) config() Config {
	return Config{Group: "g", Topics: topics, Window: minute, MaxRows: 100, CommitInterval: time.Second}
}

// run consumes the results topic to its end.
func (w *world) run(cfg Config) error {
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	w.stop = stop
	return New(w, w, cfg, clock{w}, w.metrics, w.logger).Results(ctx, mine)
}

func (w *world) say(format string, args ...any) {
	w.diary = append(w.diary, fmt.Sprintf(format, args...))
}

func (w *world) add(key, value []byte, headers ...click.Header) {
	w.records = append(w.records, click.Record{
		Offset: w.first + int64(len(w.records)), Key: key, Value: value, Headers: click.MakeHeaders(headers),
	})
}

func (w *world) result(ad string, start, count, version int64) {
	r := click.Result{
		Ad: []byte(ad), Start: start, Size: 60_000, Filter: click.FilterAll,
		Count: count, Revision: 1, State: click.Provisional, Version: version,
	}
	w.add(r.Ad, r.AppendJSON(nil))
}

func (w *world) mark(watermark int64, reducer string, more ...click.Header) {
	w.add(nil, nil, append([]click.Header{
		{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, watermark, 10)},
		{Key: click.HeaderReducer, Value: []byte(reducer)},
	}, more...)...)
}

// closes is a mark that says as well what is closed.
func (w *world) closes(closed int64, reducer string) {
	w.mark(closed+60_000, reducer, click.Header{Key: click.HeaderClosed, Value: strconv.AppendInt(nil, closed, 10)})
}

// Topic implements stream.Log.
func (w *world) Topic(_ context.Context, name string) (stream.Topic, error) {
	if name != w.topic.Name {
		return stream.Topic{}, stream.ErrNoTopic
	}
	return w.topic, nil
}

// Bounds implements stream.Log.
func (w *world) Bounds(context.Context, string, int32) (start, end int64, err error) {
	return w.first, w.first + int64(len(w.records)), nil
}

// Committed implements stream.Log.
func (w *world) Committed(context.Context, string, string, int32) (stream.Position, bool, error) {
	if w.at == nil {
		return stream.Position{}, false, nil
	}
	return *w.at, true, nil
}

// Commit implements stream.Log.
func (w *world) Commit(ctx context.Context, group, topic string, partition int32, at stream.Position) error {
	if ctx.Err() != nil || group != "g" || topic != w.topic.Name || partition != mine {
		w.t.Errorf("commit for %s of %s/%d, context %v", group, topic, partition, ctx.Err())
	}
	if w.commitErr != nil {
		return w.commitErr
	}
	w.say("commit %d", at.Offset)
	w.at = &at
	return nil
}

// epochAt is the epoch of the leader that wrote the record before an offset: another
// one every two records.
func (w *world) epochAt(offset int64) int32 {
	if offset == w.first {
		return stream.NoEpoch
	}
	return int32(offset-w.first+1)/2 + w.elected
}

// Open implements stream.Log.
func (w *world) Open(_ context.Context, _ string, _ int32, at stream.Place) (stream.Reader, error) {
	w.say("open %d", at.Offset)
	if at.Topic != w.topic.ID {
		w.t.Errorf("opened whichever topic is there: %v", at)
	}
	if at.Epoch != w.epochAt(at.Offset) {
		return nil, fmt.Errorf("%w: epoch %d at %d", stream.ErrOutOfRange, at.Epoch, at.Offset)
	}
	return &reader{w, at.Offset}, nil
}

type reader struct {
	w    *world
	next int64
}

// Read implements stream.Reader. It overwrites what it handed out before.
func (r *reader) Read(ctx context.Context, wait time.Duration) (*stream.Batch, error) {
	w := r.w
	left := w.records[r.next-w.first:]
	end := w.first + int64(len(w.records))
	if len(left) == 0 {
		w.stop()
		w.now = w.now.Add(wait)
		return &stream.Batch{Next: r.next, End: end, Epoch: stream.NoEpoch}, nil
	}
	n := 3
	if len(w.reads) > 0 {
		n, w.reads = w.reads[0], w.reads[1:]
	}
	n = min(n, len(left))
	w.now = w.now.Add(400 * time.Millisecond)
	r.next += int64(n)
	return &stream.Batch{Records: left[:n], Next: r.next, End: end, Epoch: w.epochAt(r.next)}, nil
}

// Close implements stream.Reader.
func (r *reader) Close() error {
	r.w.say("close")
	r.w.views = r.w.metrics.Partitions()
	if r.w.closing != nil {
		r.w.closing()
	}
	return nil
}

// Append implements stream.Log: it takes letters.
func (w *world) Append(_ context.Context, topic string, messages []stream.Message) error {
	if topic != topics.Rejected {
		w.t.Errorf("a letter to %s", topic)
	}
	if w.letterErr != nil {
		return w.letterErr
	}
	at := 0
	if w.at != nil {
		at = int(w.at.Offset)
	}
	for _, m := range messages {
		m.Key, m.Value = bytes.Clone(m.Key), bytes.Clone(m.Value)
		w.letters, w.lettersAt = append(w.letters, m), append(w.lettersAt, at)
	}
	return nil
}

// Close belongs to both the log and the store; the writer closes neither.
func (w *world) Close() error { w.t.Error("closed"); return nil }

// Marks implements storage.Store.
func (w *world) Marks(context.Context) ([]storage.Mark, error) {
	if err := w.refused; err != nil {
		w.refused = nil
		return nil, err
	}
	return w.kept, nil
}

// Apply implements storage.Store.
func (w *world) Apply(_ context.Context, b *storage.Batch) error {
	var err error
	apply := true
	if w.poison != nil && w.poison(b) {
		w.say("refuse")
		return fmt.Errorf("%w: poison", storage.ErrInvalid)
	}
	if w.refuse != nil {
		err, apply = w.refuse()
	}
	if apply {
		for _, r := range b.Results {
			k := fmt.Sprintf("%s %d %s", r.Ad, r.Start, r.Filter)
			if r.Version > w.applied[k].Version {
				r.Ad = append([]byte{}, r.Ad...)
				w.applied[k] = r
			}
		}
		for _, r := range b.Rankings {
			if r.Version > w.lists[r.Start].Version {
				w.lists[r.Start] = r
			}
		}
		w.traced = append(w.traced, b.Lineages...)
		w.marks = append(w.marks, b.Marks...)
		w.touches = append(w.touches, b.Touches...)
		w.rows = append(w.rows, len(b.Results)+len(b.Rankings)+len(b.Lineages)+len(b.Marks))
	}
	if err != nil {
		w.say("refuse")
		return err
	}
	w.say("apply")
	return nil
}

// clock is the world's time.
type clock struct{ w *world }

// Now implements stream.Clock.
func (c clock) Now() time.Time { return c.w.now }

// Sleep implements stream.Clock.
func (c clock) Sleep(ctx context.Context, d time.Duration) error {
	c.w.say("sleep")
	c.w.waits = append(c.w.waits, d)
	c.w.now = c.w.now.Add(d)
	if c.w.slept != nil {
		c.w.slept(d)
	}
	return ctx.Err()
}
