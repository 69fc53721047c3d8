package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/storage/embedded"
)

// What is replayed is 20 of 30 minutes: they are closed for good.
const (
	replayFrom = "2025-01-01T00:00:00Z"
	replayTo   = "2025-01-01T00:20:00Z"
)

func replayClicks() gen.Options {
	o := gen.Defaults()
	o.Events, o.Seed, o.Span, o.Ads = 60_000, 5, 30*time.Minute, 500
	return o
}

// answers is all that is said of the range: every count, the ranked list, and its status.
func replayAnswers(ctx context.Context, t *testing.T, c *client.Client) string {
	t.Helper()
	var b strings.Builder
	for _, filter := range []string{"000", "de"} {
		e, err := c.Export(ctx, client.ExportRange{From: replayFrom, To: replayTo, Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&b, e); err != nil {
			t.Fatal(err)
		}
		_ = e.Close()
		top, err := c.Top(ctx, 20, client.Range{From: replayFrom, To: replayTo, Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, top.Status, top.Exact, top.Ads)
	}
	return b.String()
}

// rerun runs clickagg replay.
func rerun(t *testing.T, url string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return run(t, append([]string{"replay", "--api.url", url}, args...)...)
}

// recovers replays into an installation whose counts were erased, and finds what was there before.
func recovers(ctx context.Context, t *testing.T, c *client.Client, url, source, before string) {
	t.Helper()
	span := []string{"--from", replayFrom, "--to", replayTo, "--source", source}
	stdout, stderr, status := rerun(t, url, append(span, "--dry-run", "-o", "csv")...)
	if n := strings.Count(stdout, "\n"); status != 1 || n < 5_000 || !strings.HasPrefix(stdout, "window_start,filter_identifier,ad_id,stored,count\n2025-01-01T00:00:00Z,000,ad") {
		t.Fatalf("dry run from %s: status %d, %d lines, %s", source, status, n, stderr)
	}
	if stdout, stderr, status = rerun(t, url, span...); status != 2 || !strings.Contains(stderr, "--yes") {
		t.Fatalf("without consent: status %d, %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status = rerun(t, url, append(span, "--yes")...); status != 0 || !strings.Contains(stdout, "published as correction") {
		t.Fatalf("replay from %s: status %d, %s%s", source, status, stdout, stderr)
	}
	same(t, "what is answered after the replay from "+source, replayAnswers(ctx, t, c), before)
	if stdout, stderr, status = rerun(t, url, append(span, "--dry-run")...); status != 0 || !strings.Contains(stdout, "nothing differs") {
		t.Fatalf("after the replay: status %d, %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status = run(t, "audit", "--api.url", url, "--from", replayFrom, "--to", replayTo); status != 0 {
		t.Errorf("the audit after it: status %d, %s%s", status, stdout, stderr)
	}
	count, err := c.Count(ctx, strings.Split(strings.SplitN(before, "\n", 3)[1], ",")[0], client.Range{From: replayFrom, To: replayTo})
	if err != nil || count.Status != api.Final || count.Revision < 2 {
		t.Errorf("%+v, %v", count, err)
	}
}

// eraseCounts deletes all counts and ranked lists of a store that no process uses.
func eraseCounts(t *testing.T, dir string) {
	t.Helper()
	merger := &pebble.Merger{Name: "clickagg.newest.1", Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		return &greatest{bytes.Clone(value)}, nil
	}}
	db, err := pebble.Open(filepath.Join(dir, "store"), &pebble.Options{Merger: merger, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []byte("cr") {
		if err := db.DeleteRange([]byte{kind}, []byte{kind + 1}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// greatest keeps the greatest value, as the store does.
type greatest struct{ value []byte }

func (g *greatest) MergeNewer(value []byte) error {
	if bytes.Compare(value, g.value) > 0 {
		g.value = bytes.Clone(value)
	}
	return nil
}

func (g *greatest) MergeOlder(value []byte) error          { return g.MergeNewer(value) }
func (g *greatest) Finish(bool) ([]byte, io.Closer, error) { return g.value, nil, nil }

const replayFilters = `
filters:
  - {id: de, name: Germany, where: 'country == "DE"'}
`

// archiveRaw archives all that the raw store of a data directory has, as if its hours had ended long ago.
func archiveRaw(t *testing.T, dir string) {
	t.Helper()
	s, err := embedded.Open(filepath.Join(dir, "raw"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.OpenTree(filepath.Join(dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	clicks := rule.Config{EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", MaxRecordBytes: 1 << 20}
	a := archive.New(s.Raw(), blobs, archive.Config{Rule: clicks}, stream.Wall{}, archive.NewMetrics(nil), zap.NewNop())
	sources, err := s.Raw().Sources(t.Context())
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, src := range sources {
		if _, err := a.Source(t.Context(), src, archive.Reach{Before: math.MaxInt64, Until: math.MaxInt64, Whole: true}, func(*archive.Manifest) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReplay erases the counts of the one process's store, and replays them from the raw store,
// from the log and from an archive; then again, with the process killed in the midst.
func TestReplay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	s := newServer(t, "--role=all,raw", "--config", configured(t, replayFilters), "--archive.after=1h", "--correction.rows-per-second", "1000000")
	s.start()
	s.ready(ctx)
	report, _, err := load.Generate(ctx, s.dial(ctx), load.GenerateOptions{Gen: replayClicks(), Topic: "clicks", Finish: true, Batch: 2000})
	if err != nil {
		t.Fatal(err)
	}
	s.completeUntil(ctx, report.Watermark)
	before := replayAnswers(ctx, t, s.client)
	url := "http://" + s.api
	for _, source := range []string{"raw", "kafka", "archive"} {
		s.stop()
		eraseCounts(t, s.data())
		if source == "archive" {
			archiveRaw(t, s.data())
		}
		s.start()
		s.ready(ctx)
		recovers(ctx, t, s.client, url, source, before)
	}
	s.stop()
	eraseCounts(t, s.data())
	s.args[len(s.args)-1] = "2000" // slow enough to be killed in the midst
	s.start()
	s.ready(ctx)
	killed := exec.CommandContext(ctx, binary, "replay", "--api.url", url, "--from", replayFrom, "--to", replayTo, "--yes")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	provisional := func() error {
		a, err := s.client.Top(ctx, 1, client.Range{From: replayFrom, To: replayTo})
		if err == nil && (a.Status != api.Provisional || len(a.Ads) == 0) {
			err = fmt.Errorf("%s, %d ads", a.Status, len(a.Ads))
		}
		return err
	}
	s.eventually(ctx, "a part of it", provisional)
	s.kill()
	if err := killed.Wait(); err == nil {
		t.Error("a replay whose process was killed says that it is done")
	}
	s.args[len(s.args)-1] = "1000000"
	s.start()
	s.ready(ctx)
	if err := provisional(); err != nil {
		t.Errorf("after the kill: %v", err)
	}
	stdout, stderr, status := rerun(t, url, "--from", replayFrom, "--to", replayTo, "--yes")
	if status == 0 || !strings.Contains(stderr, "--resume") {
		t.Errorf("another replay: status %d, %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status = rerun(t, url, "--resume"); status != 0 {
		t.Fatalf("resume: status %d, %s%s", status, stdout, stderr)
	}
	same(t, "what is answered after it was resumed", replayAnswers(ctx, t, s.client), before)
	if stdout, stderr, status = rerun(t, url, "--resume"); status == 0 {
		t.Errorf("nothing is left to resume: %s%s", stdout, stderr)
	}
}

// TestReplayCluster truncates the counts in Cassandra, and replays them from Kafka and from the raw clicks.
func TestReplayCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	server := cassandraServer(t)
	c := newCluster(t, kafkaServer(t).Addrs(), server.Addr(), replayFilters)
	for _, role := range []string{"mapper", "aggregator", "reducer,writer", "reducer,writer", "raw", "api"} {
		c.add(role)
	}
	c.ready(ctx)
	report, _ := c.send(ctx, replayClicks(), 0)
	c.complete(ctx, report.Watermark)
	before := replayAnswers(ctx, t, c.client)
	look := superuser(t, server)
	for _, source := range []string{"kafka", "raw"} {
		for _, table := range []string{"counts", "windows", "starts", "days", "rankings", "lists"} {
			if err := look.Query("TRUNCATE " + c.name + "." + table).Exec(); err != nil {
				t.Fatal(err)
			}
		}
		recovers(ctx, t, c.client, "http://"+c.api, source, before)
	}
}

// configured writes a configuration file.
func configured(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clickagg.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
