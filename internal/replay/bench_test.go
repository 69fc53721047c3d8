package replay

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
)

// BenchmarkCompare is how fast an hour of clicks is counted again from an archive and held against a store on
// disk, in which all is as it should be.
func BenchmarkCompare(b *testing.B) {
	const clicks = 1_000_000
	hour, span := archived(b, clicks, 4)
	r := installation(b, span)
	r.Clicks = hour
	q := Question{From: span.From, To: span.To}
	report, err := r.Compare(b.Context(), q, quiet, func(d *correct.Diff) error { return store(b.Context(), r.Publisher.Store, d) })
	if err != nil || !report.Exact() || report.Counts == 0 {
		b.Fatal(report, err)
	}
	for _, late := range []bool{false, true} {
		b.Run(fmt.Sprintf("late=%t", late), func(b *testing.B) {
			q.Late = late
			for b.Loop() {
				if report, err := r.Compare(b.Context(), q, quiet, nil); err != nil || report.Windows != 0 || report.Recount.Records < clicks {
					b.Fatal(report, err)
				}
			}
			b.ReportMetric(clicks*float64(b.N)/b.Elapsed().Seconds(), "clicks/s")
		})
	}
}

// BenchmarkPartitions is how fast an hour of clicks of many partitions is counted again from an archive, and how much memory
// that takes, of which a collector that runs as often as the process's leaves no more than a quarter.
func BenchmarkPartitions(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for _, c := range []struct{ partitions, clicks int }{{16, 1 << 21}, {64, 1 << 18}, {64, 1 << 21}, {256, 1 << 18}, {256, 1 << 21}} {
		b.Run(fmt.Sprintf("%d/%d", c.partitions, c.clicks), func(b *testing.B) {
			hour, span := archived(b, c.clicks, c.partitions)
			runtime.GC()
			metrics.Read(heap)
			before, peak, cpu := heap[0].Value.Uint64(), uint64(0), used(b)
			watch := func(int64, int64) error {
				metrics.Read(heap)
				peak = max(peak, heap[0].Value.Uint64())
				return nil
			}
			for b.Loop() {
				if report, err := hour.Recount(b.Context(), span, recount.Options{}, watch, func(*recount.Window) error { return nil }); err != nil || report.Records < int64(c.clicks) {
					b.Fatal(report, err)
				}
			}
			b.ReportMetric(float64(c.clicks)*float64(b.N)/b.Elapsed().Seconds(), "clicks/s")
			b.ReportMetric(float64(used(b)-cpu)/float64(c.clicks)/float64(b.N), "cpu-ns/click")
			b.ReportMetric(float64(peak-before)/(1<<20), "peak-MiB")
		})
	}
}

// used is the CPU time that this process has had.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// installation is one with an empty store, in which all of a time is closed.
func installation(b *testing.B, span recount.Range) *Replayer {
	b.Helper()
	store, err := embedded.Open(b.TempDir(), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	mark := storage.Mark{Partitions: 1, Reducers: 1, Watermark: span.To, Closed: span.To}
	if err := store.Apply(b.Context(), &storage.Batch{Marks: []storage.Mark{mark}}); err != nil {
		b.Fatal(err)
	}
	log, topics := new(memory.Log), click.TopicsOf("c")
	log.Create(topics.Control, 1)
	return &Replayer{
		Control:   topics.Control,
		Publisher: &correct.Publisher{Log: log, Store: store, Topics: topics, Reducers: 1, Window: minute, Top: 100, Clock: stream.Wall{}, Logger: zap.NewNop()},
	}
}

// store has a store take in what it lacks.
func store(ctx context.Context, s storage.Store, d *correct.Diff) error {
	batch := storage.Batch{Rankings: []click.Ranking{{
		Start: d.Start, Size: d.Size, Filter: d.Filter, State: click.Final, Revision: 1, Version: 1, Clicks: d.Clicks, Ads: d.Ads, Top: d.Top,
	}}}
	for _, c := range d.Changes {
		batch.Results = append(batch.Results, click.Result{
			Ad: c.Ad, Start: d.Start, Size: d.Size, Filter: d.Filter, Count: c.New, Digest: c.NewDigest, Revision: 1, State: click.Final, Version: 1,
		})
	}
	return s.Apply(ctx, &batch)
}

// hour counts from an archive.
type hour struct {
	blobs blob.Ranger
	rules recount.Rules
}

func (h *hour) Recount(ctx context.Context, span recount.Range, o recount.Options, watch func(done, total int64) error, sink func(*recount.Window) error) (recount.Report, error) {
	kept := &recount.Kept{Log: recount.FromLog(nil, nil, span.To+60*minute), Archived: func(ctx context.Context) (*archive.Reader, func() error, error) {
		r, err := archive.NewReader(ctx, h.blobs)
		return r, func() error { return nil }, err
	}}
	h.rules.Late = o.Late
	return recount.Run(ctx, []recount.Input{kept}, span, h.rules, watch, sink)
}

// archived is an archive of clicks of an hour, in some partitions.
func archived(b *testing.B, clicks, partitions int) (*hour, recount.Range) {
	b.Helper()
	span := recount.Range{From: base - base%minute, To: base - base%minute + 60*minute}
	options := gen.Defaults()
	options.Events, options.Start, options.Span = clicks, time.UnixMilli(span.From), time.Hour
	events, err := gen.New(options)
	if err != nil {
		b.Fatal(err)
	}
	s, err := embedded.Open(b.TempDir(), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	blobs, err := blob.OpenTree(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	judge := rule.Config{
		Size: minute, Lateness: 5 * minute, Delay: 15_000, MaxFuture: minute, IdleTimeout: 5_000,
		EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: rule.Millis, MaxRecordBytes: 1 << 16,
		Rules: click.Rules{Horizon: 10 * minute, MaxIDs: 1 << 22, MaxAds: 1 << 22},
	}
	var e gen.Event
	records := make([][]click.Record, partitions)
	for i := 0; events.Next(&e); i++ {
		to := &records[i%partitions]
		*to = append(*to, click.Record{Offset: int64(i / partitions), Append: span.From + int64(i)*60*minute/int64(clicks), Value: slices.Clone(e.Value)})
	}
	a := archive.New(s.Raw(), blobs, archive.Config{Rule: judge}, stream.Wall{}, archive.NewMetrics(nil), zap.NewNop())
	for p, all := range records {
		source := click.Source{Topic: "clicks", Partition: int32(p)}
		for batch := range slices.Chunk(all, 10_000) {
			if err := s.Raw().Put(b.Context(), source, batch); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := a.Source(b.Context(), source, archive.Reach{Before: math.MaxInt64, Until: math.MaxInt64, Whole: true}, func(*archive.Manifest) {}); err != nil {
			b.Fatal(err)
		}
	}
	never := func(string) bool { return false }
	return &hour{blobs: blobs, rules: recount.Rules{
		Judge: judge, Trusted: never, Live: func(click.TopicID) int64 { return span.From }, Workers: runtime.GOMAXPROCS(0),
	}}, span
}
