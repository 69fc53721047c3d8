package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a raw store in memory.
type shelf map[click.Source][]click.Record

var _ storage.RawStore = shelf{}

func (s shelf) ID() string { return "shelf" }

func (s shelf) Put(_ context.Context, src click.Source, records []click.Record) error {
	for _, r := range records {
		r.Key, r.Value, r.Headers.Raw = bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.Headers.Raw)
		s[src] = append(s[src], r)
	}
	slices.SortFunc(s[src], func(a, b click.Record) int { return int(a.Offset - b.Offset) })
	s[src] = slices.CompactFunc(s[src], func(a, b click.Record) bool { return a.Offset == b.Offset })
	return nil
}

func (s shelf) Read(ctx context.Context, src click.Source, from, to int64, f func(*click.Record) error) error {
	for _, r := range s[src] {
		if r.Offset >= from && r.Offset < to {
			if err := f(&r); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (s shelf) Sources(context.Context) ([]click.Source, error) {
	return slices.SortedFunc(maps.Keys(s), compareSources), nil
}

// attic is a blob store in memory. Before each call, before may refuse it; after a call had its
// effect, after may.
type attic struct {
	mu            sync.Mutex
	blobs         map[string][]byte
	before, after func(verb, name string) error
}

var _ blob.Ranger = (*attic)(nil)

func newAttic() *attic { return &attic{blobs: map[string][]byte{}} }

func (a *attic) do(ctx context.Context, verb, name string, f func() error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.before != nil {
		if err := a.before(verb, name); err != nil {
			return err
		}
	}
	if err := f(); err != nil || a.after == nil {
		return err
	}
	return a.after(verb, name)
}

func (a *attic) Put(ctx context.Context, name string, data []byte) error {
	return a.do(ctx, "put", name, func() error {
		if err := blob.CheckName(name); err != nil {
			return err
		}
		a.blobs[name] = bytes.Clone(data)
		return nil
	})
}

func (a *attic) Get(ctx context.Context, name string) (data []byte, err error) {
	err = a.do(ctx, "get", name, func() error {
		found, ok := a.blobs[name]
		if !ok {
			return blob.ErrNotFound
		}
		data = bytes.Clone(found)
		return nil
	})
	return data, err
}

func (a *attic) GetRange(ctx context.Context, name string, at int64, p []byte) error {
	return a.do(ctx, "range", name, func() error {
		found, ok := a.blobs[name]
		switch {
		case !ok:
			return blob.ErrNotFound
		case at+int64(len(p)) > int64(len(found)):
			return io.ErrUnexpectedEOF
		}
		copy(p, found[at:])
		return nil
	})
}

func (a *attic) List(ctx context.Context, prefix string) (names []string, err error) {
	err = a.do(ctx, "list", prefix, func() error {
		for name := range a.blobs {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

func (a *attic) Delete(ctx context.Context, name string) error {
	return a.do(ctx, "delete", name, func() error { delete(a.blobs, name); return nil })
}

// clock is a time in which waiting takes none.
type clock struct{ slept time.Duration }

func (*clock) Now() time.Time { return time.Unix(0, 0) }

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.slept += d
	return ctx.Err()
}

// ruled says how the clicks of these tests look.
var ruled = rule.Config{EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: rule.Millis, MaxRecordBytes: 1 << 20}

// small are bounds that a test reaches.
var small = bounds{sliceRecords: 300, sliceBytes: 40_000, runRecords: 64, runBytes: 12_000}

func archiver(t *testing.T, raw storage.RawStore, blobs blob.Ranger) *Archiver {
	t.Helper()
	a := New(raw, blobs, Config{Rule: ruled}, &clock{}, NewMetrics(nil), zap.NewNop())
	a.draft.most = small
	return a
}

// base is the beginning of an hour.
const base = 1_764_000_000_000

func source(topic string, partition int32) click.Source {
	return click.Source{Topic: topic, ID: click.TopicID{15: 7}, Partition: partition}
}

// history makes records of all kinds in some sources, over some hours, with gaps between offsets
// and a clock that falls back now and then.
func history(seed uint64) shelf {
	rnd := rand.New(rand.NewPCG(seed, 9))
	s := shelf{}
	for p := range int32(3) {
		src := source("clicks.eu", p)
		offset, at := rnd.Int64N(5), int64(base)+rnd.Int64N(hour)
		for i := range 1500 {
			r := click.Record{Offset: offset, Append: at - rnd.Int64N(2)*rnd.Int64N(5_000)}
			switch rnd.IntN(12) {
			case 0:
				r.Value = []byte("garbage \x00\xff")
			case 1:
				r.Key, r.Headers = []byte("tombstone"), click.MakeHeaders([]click.Header{{Key: "h", Value: []byte{0}}, {Key: "null"}})
			case 2:
				r.Key, r.Value = []byte{}, []byte{}
			case 3:
				r.Value = bytes.Repeat([]byte("large "), rnd.IntN(1_000))
			default:
				r.Value = fmt.Appendf(nil, `{"event_id":"%d-%d","ad_id":"ad%d","ts":%d,"country":"%s","device":"t\u00e9l\u00e9","ip":"10.0.0.%d"}`,
					p, i, rnd.IntN(20), at-rnd.Int64N(60_000), []string{"KR", "US"}[rnd.IntN(2)], rnd.IntN(255))
			}
			s[src] = append(s[src], r)
			offset += 1 + rnd.Int64N(2)*rnd.Int64N(3)
			at += rnd.Int64N(15_000)
			if rnd.IntN(700) == 0 {
				at += 3 * hour
			}
		}
	}
	return s
}

// far is a reach of all.
var far = Reach{Before: base + 1000*hour, Until: 1 << 60, Whole: true}

// archiveAll archives all sources.
func archiveAll(t *testing.T, raw shelf, blobs blob.Ranger) {
	t.Helper()
	a := archiver(t, raw, blobs)
	sources, _ := raw.Sources(t.Context())
	for _, s := range sources {
		if _, err := a.Source(t.Context(), s, far, func(*Manifest) {}); err != nil {
			t.Fatal(err)
		}
	}
}

func reader(t *testing.T, blobs blob.Ranger) *Reader {
	t.Helper()
	r, err := NewReader(t.Context(), blobs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read takes what a reader gives.
func read(t *testing.T, r *Reader, s click.Source, from, to int64) (out []click.Record) {
	t.Helper()
	err := r.Read(t.Context(), s, from, to, func(rec *click.Record) error {
		own := *rec
		own.Key, own.Value, own.Headers.Raw = bytes.Clone(rec.Key), bytes.Clone(rec.Value), bytes.Clone(rec.Headers.Raw)
		out = append(out, own)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var errKilled = errors.New("killed")
