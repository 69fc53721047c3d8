package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
)

// Sizes of the tests that kill what works beside live clicks; KILL_RATE (clicks a second) and KILL_ROUNDS set others.
const (
	killRate   = 1_000
	killRounds = 5
	killHours  = 12 // of old records that are archived meanwhile
)

// live is a stream of clicks that flows until it is stopped, and clicks of minutes that are closed for good long since.
type live struct {
	report load.Report
	truth  *gen.Truth // with what came too late among the counts
	stop   func() error
}

// goLive begins with the past: half an hour of clicks, all of them closed.
func goLive(ctx context.Context, t *testing.T, log *kafka.Log, topic string, seed uint64, rate int) *live {
	t.Helper()
	in, err := log.Topic(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var early []stream.Message
	for i := range int32(100) {
		early = append(early, stream.Message{Partition: i % in.Partitions, Value: inTime(int(i))})
	}
	if err := log.Append(ctx, topic, early); err != nil {
		t.Fatal(err)
	}
	_, truth, err := load.Generate(ctx, log, load.GenerateOptions{Gen: replayClicks(), Topic: topic, Finish: true, Batch: 2000})
	if err != nil {
		t.Fatal(err)
	}
	truth.Counts.Add([]byte("early"), atMinute(0), int64(len(early)))
	truth.Clicks += int64(len(early))
	l := &live{truth: truth}
	flowing, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	var failed, failedLate error
	var more *gen.Truth
	var late gen.Counts
	all.Go(func() {
		o := gen.Defaults()
		o.Seed, o.Ads, o.Start = seed, 5_000, time.UnixMilli(atMinute(40))
		o.Events, o.Span = 3600*rate, 3600*20*time.Second // a minute in 3 s
		l.report, more, failed = load.Generate(flowing, &paced{Log: log, rate: rate, begun: time.Now()}, load.GenerateOptions{Gen: o, Topic: topic, Batch: max(rate/20, 100)})
	})
	all.Go(func() { failedLate = tooLate(flowing, log, in, seed, &late) })
	l.stop = func() error {
		cancel()
		all.Wait()
		if !errors.Is(failed, context.Canceled) || failedLate != nil {
			return fmt.Errorf("load: %w, %w", failed, failedLate)
		}
		for _, counts := range []*gen.Counts{&more.Counts, &late} {
			for c := range counts.All() {
				truth.Counts.Add([]byte(c.Ad), c.Minute, c.Count)
			}
		}
		truth.Clicks += more.Clicks
		return nil
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	return l
}

// paced is a log that is appended to on schedule: what waited while nobody took it comes after it at once.
type paced struct {
	stream.Log
	rate  int // messages a second
	begun time.Time
	sent  int
}

func (p *paced) Append(ctx context.Context, topic string, messages []stream.Message) error {
	due := p.begun.Add(time.Duration(p.sent) * time.Second / time.Duration(p.rate))
	select {
	case <-time.After(time.Until(due)):
	case <-ctx.Done():
		return ctx.Err()
	}
	p.sent += len(messages)
	return p.Log.Append(ctx, topic, messages)
}

// inTime is a click that is counted in time, and comes again when it is too late.
func inTime(i int) []byte {
	return fmt.Appendf(nil, `{"event_id":"early-%d","ad_id":"early","ts":%d}`, i, atMinute(0)+int64(i))
}

// tooLate sends clicks of minutes that are closed for good, repeats of them and of those that were counted in time, and what is no click,
// until ctx ends. It adds up those that were not sent before.
func tooLate(ctx context.Context, log stream.Log, in stream.Topic, seed uint64, counts *gen.Counts) error {
	chance := rand.New(rand.NewPCG(seed, 1))
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var sent [][]byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var messages []stream.Message
		for range 10 {
			var value []byte
			switch n := len(sent); {
			case chance.IntN(8) == 0:
				value = inTime(chance.IntN(100))
			case chance.IntN(8) == 0:
				value = []byte("no click")
			case n > 0 && chance.IntN(4) == 0:
				value = sent[chance.IntN(n)]
			default:
				minute := atMinute(chance.Int64N(20))
				value = fmt.Appendf(nil, `{"event_id":"late-%d","ad_id":"late-%d","ts":%d}`, n, n%7, minute+chance.Int64N(60_000))
				counts.Add(fmt.Appendf(nil, "late-%d", n%7), minute, 1)
				sent = append(sent, value)
			}
			messages = append(messages, stream.Message{Partition: chance.Int32N(in.Partitions), Value: value})
		}
		if err := log.Append(context.WithoutCancel(ctx), in.Name, messages); err != nil {
			return err
		}
	}
}

// close ends the live clicks, and says to every partition that no more follow, so that all minutes are closed for good. It
// returns the end of the last one, and until when all is complete.
func (l *live) close(ctx context.Context, t *testing.T, log *kafka.Log, topic string) (end, complete int64) {
	t.Helper()
	if err := l.stop(); err != nil {
		t.Fatal(err)
	}
	minutes := l.truth.Counts.Minutes()
	end = minutes[len(minutes)-1] + 60_000
	complete = end + time.Hour.Milliseconds()
	in, err := log.Topic(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var marks []stream.Message
	for p := range in.Partitions {
		marks = append(marks, stream.Message{Partition: p, Headers: []click.Header{{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, complete, 10)}}})
	}
	if err := log.Append(ctx, topic, marks); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clicks were sent beside the work, %.0f a second; %d valid clicks in all", l.report.Sent, float64(l.report.Sent)/l.report.Elapsed.Seconds(), l.truth.Counts.Total())
	return end, complete
}

// print is what a record is known by: its offset, and a hash of all that it is.
type print struct {
	offset int64
	hash   uint64
}

func printOf(r *click.Record) print {
	return print{r.Offset, xxh3.Hash(fmt.Appendf(nil, "%d %q %t %q %t %q", r.Append, r.Key, r.Key == nil, r.Value, r.Value == nil, r.Headers.Raw))}
}

// printed are the prints of all records that a log has, and of old ones that it has no more.
func printed(ctx context.Context, t *testing.T, log *kafka.Log, topic string, old map[click.Source][]click.Record) map[click.Source][]print {
	t.Helper()
	all := map[click.Source][]print{}
	in, err := log.Topic(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for p := range in.Partitions {
		source := click.Source{Topic: in.Name, ID: in.ID, Partition: p}
		eachRecord(ctx, t, log, topic, p, func(r *click.Record) { all[source] = append(all[source], printOf(r)) })
	}
	for source, records := range old {
		for i := range records {
			all[source] = append(all[source], printOf(&records[i]))
		}
	}
	return all
}

// keeps reads raw store and archive together, which have each record once.
func keeps(ctx context.Context, t *testing.T, raw storage.RawStore, archived string, want map[click.Source][]print) {
	t.Helper()
	blobs, err := blob.OpenTree(archived)
	if err != nil {
		t.Fatal(err)
	}
	k := recount.Kept{Raw: raw, Log: recount.FromLog(nil, nil, click.None), Archived: func(ctx context.Context) (*archive.Reader, func() error, error) {
		r, err := archive.NewReader(ctx, blobs)
		return r, func() error { return nil }, err
	}}
	sources, err := k.Sources(ctx)
	if err != nil || len(sources) != len(want) {
		t.Fatalf("%v, %v", sources, err)
	}
	records := 0
	for _, source := range sources {
		var got []print
		err := k.Read(ctx, source, 0, math.MaxInt64, func(r *click.Record) error {
			got = append(got, printOf(r))
			return nil
		})
		if err != nil || !slices.Equal(got, want[source]) {
			t.Errorf("%s: %d records are kept, and not just the %d that there were; %v", source, len(got), len(want[source]), err)
		}
		records += len(got)
	}
	t.Logf("%d records of %d sources are kept, each once", records, len(sources))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

// archivedOf is how many files an archive has of some sources.
func archivedOf(ctx context.Context, t *testing.T, dir string, of map[click.Source][]click.Record) (n int) {
	t.Helper()
	blobs, err := blob.OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, strangers, err := archive.List(ctx, blobs)
	if err != nil || len(strangers) > 0 {
		t.Fatal(strangers, err)
	}
	for _, s := range all {
		if _, ok := of[s.Source]; ok {
			n++
		}
	}
	return n
}

// archives waits until an archive has some files of old records.
func archives(ctx context.Context, t *testing.T, dir string, old map[click.Source][]click.Record, files int) {
	t.Helper()
	eventually(ctx, t, "archive", func() error {
		if n := archivedOf(ctx, t, dir, old); n < files {
			return fmt.Errorf("%d of %d files", n, files)
		}
		return nil
	})
}

// killSeed is that of all that is left to chance.
func killSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(fromEnv(t, "KILL_SEED", int(time.Now().UnixNano()%1_000_000_000)))
	t.Logf("the same again with KILL_SEED=%d", seed)
	return seed
}

// TestKillBeside counts live clicks in one process, which also replays, reconciles by schedule and on demand, repairs, and archives, and
// is killed again and again at any moment. What was stored is damaged meanwhile. In the end every count is the truth.
func TestKillBeside(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	seed, rounds := killSeed(t), fromEnv(t, "KILL_ROUNDS", killRounds)
	s := newServer(t, "--role=all,raw,archive,reconcile", "--archive.after", "24h", "--cassandra.raw-ttl", "48h", "--reconcile.schedule", "1m",
		"--aggregator.snapshot-interval", "2s", "--correction.rows-per-second", "150", "--log.level", "warn")
	s.start()
	s.ready(ctx)
	log := s.dial(ctx)
	l := goLive(ctx, t, log, "clicks", seed, fromEnv(t, "KILL_RATE", killRate))
	s.completeUntil(ctx, atMinute(30))
	s.kill()
	archiveRaw(t, s.data()) // a part of what was received is in the archive from now on
	old, cold := oldRecords(killHours), filepath.Join(s.data(), "archive")
	fillRaw(t, s.data(), old)
	chance := rand.New(rand.NewPCG(seed, 0))
	for range 4 { // killed while it archives
		s.start()
		archives(ctx, t, cold, old, archivedOf(ctx, t, cold, old)+1)
		pause(ctx, t, time.Duration(chance.Int64N(int64(200*time.Millisecond))))
		s.kill()
	}
	files := archivedOf(ctx, t, cold, old)
	t.Logf("%d files are archived", files)
	if files == len(old)*killHours {
		t.Error("killed too late: all is archived")
	}
	s.start()
	strike := func(ctx context.Context, down func()) {
		s.kill()
		down()
		s.start()
		s.ready(ctx)
	}
	o := &operator{
		t: t, chance: chance, log: log, control: "clickagg.control", api: s.client, url: "http://" + s.api, caught: map[string]int{},
		strike: func(ctx context.Context) { strike(ctx, func() {}) },
		spoil: func(ctx context.Context) {
			strike(ctx, func() {
				store, err := embedded.Open(filepath.Join(s.data(), "store"), embedded.Options{})
				if err != nil {
					t.Fatal(err)
				}
				spoil(ctx, t, chance, store)
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
			})
		},
	}
	for n := range rounds {
		o.correct(ctx, n)
	}
	end, complete := l.close(ctx, t, log, "clicks")
	s.completeUntil(ctx, complete)
	o.settle(ctx, end, l.truth)
	s.isTruth(ctx, l.truth)
	archives(ctx, t, cold, old, len(old)*killHours)
	want := printed(ctx, t, log, "clicks", old)
	if status := s.stop(); status != 0 {
		t.Errorf("ended with status %d", status)
	}
	if stdout, stderr, status := run(t, "archive", "verify", "--data-dir", s.data()); status != 0 {
		t.Errorf("verify: %d, %s%s", status, stdout, stderr)
	}
	raw, err := embedded.Open(filepath.Join(s.data(), "raw"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	keeps(ctx, t, raw.Raw(), cold, want)
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
}
