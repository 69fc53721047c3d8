package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/load"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/cassandra"
	"github.com/clickagg/clickagg/storage/embedded"
)

// What is reconciled is two of two and a half hours, all of it closed for good.
const (
	reconcileFrom = "2025-01-01T00:00:00Z"
	reconcileTo   = "2025-01-01T02:00:00Z"
)

func reconcileClicks() gen.Options {
	o := gen.Defaults()
	o.Events, o.Seed, o.Span, o.Ads = 12_000, 5, 150*time.Minute, 500
	return o
}

func atMinute(m int64) int64 {
	return time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + m*60_000
}

// lateClick is a click of the range that comes when all is over.
func lateClick(ad string) stream.Message {
	return stream.Message{Value: fmt.Appendf(nil, `{"event_id":"too-late","ad_id":%q,"ts":%d}`, ad, atMinute(40))}
}

// instead is a count that takes the place of one that is stored.
func instead(c *storage.Cell, series string, size, count int64, digest uint64) click.Result {
	return click.Result{
		Ad: bytes.Clone(c.Ad), Start: c.Start, Size: size, Filter: series, Count: count, Digest: digest,
		Revision: c.Revision, State: c.State, Version: c.Version + 1,
	}
}

// damage does every kind of harm to what is stored of the range, and returns the ad whose count
// it raised.
func damage(ctx context.Context, t *testing.T, s storage.Store) (raised string) {
	t.Helper()
	start := atMinute(5)
	var b storage.Batch
	row := func(c storage.Cell, series string, size, count int64, digest uint64) {
		b.Results = append(b.Results, instead(&c, series, size, count, digest))
	}
	n := 0
	err := s.Scan(ctx, click.FilterAll, start, start+60_000, func(c *storage.Cell) error {
		if c.Count < 2 {
			return nil
		}
		switch n {
		case 0:
			raised = string(c.Ad)
			row(*c, click.FilterAll, 60_000, c.Count+2, c.Digest)
		case 1:
			row(*c, click.FilterAll, 60_000, c.Count-1, c.Digest)
		case 2:
			row(*c, click.FilterAll, 60_000, 0, 0)
		case 3:
			row(*c, click.FilterAll, 60_000, c.Count, c.Digest+1)
		}
		n++
		return nil
	})
	row(storage.Cell{Ad: []byte("nobody-clicked"), Start: start, Revision: 1, State: click.Final, Version: 1}, click.FilterAll, 60_000, 3, 7)
	// As a copy of the table has it that was made while the minute was open.
	was := len(b.Results)
	err = errors.Join(err, s.Scan(ctx, click.FilterAll, atMinute(11), atMinute(12), func(c *storage.Cell) error {
		if len(b.Results) > was {
			return nil
		}
		open := instead(c, click.FilterAll, 60_000, c.Count, c.Digest)
		open.State = click.Provisional
		b.Results = append(b.Results, open)
		return nil
	}))
	lists, lerr := s.Rankings(ctx, click.FilterAll, atMinute(7), atMinute(8), storage.WholeList)
	if err = errors.Join(err, lerr); err != nil || n < 4 || len(lists) != 1 {
		t.Fatalf("%v, %d counts, %d lists", err, n, len(lists))
	}
	list := lists[0]
	list.Top = slices.Clone(list.Top)
	list.Top[0].Count++
	list.Version++
	b.Rankings = append(b.Rankings, list)
	rolled := 0
	err = s.Scan(ctx, storage.Hour.Series(click.FilterAll), atMinute(60), atMinute(61), func(c *storage.Cell) error {
		if string(c.Ad) == raised {
			return nil
		}
		if rolled++; rolled == 1 {
			row(*c, storage.Hour.Series(click.FilterAll), 3_600_000, c.Count+5, 0)
		}
		return nil
	})
	if err != nil || rolled == 0 {
		t.Fatalf("%v, %d counts of the second hour", err, rolled)
	}
	if err := s.Apply(ctx, &b); err != nil {
		t.Fatal(err)
	}
	return raised
}

// damageCopies does harm to what answers for one ad in Cassandra, and to nothing else: a count is raised, one is removed,
// one is of other clicks, one has another revision, one is invented, and of an hour one is raised, of another ad but one, and one invented. It returns how many clicks
// that is, and the two ads that were raised.
func damageCopies(ctx context.Context, t *testing.T, look *gocql.Session, keyspace, but string) (clicks int64, ads [2]string) {
	t.Helper()
	type row struct {
		ad            string
		day           time.Time
		count, digest int64
		stamp         int64
	}
	const where = " WHERE ad = ? AND filter = ? AND day = ? AND start = ?"
	rows := func(series string, start int64, n int) (found []row) {
		it := look.Query("SELECT ad, day, count, digest, writetime(count) FROM "+keyspace+".counts WHERE filter = ? AND start = ? ALLOW FILTERING", series, start).
			WithContext(ctx).Iter()
		for r := (row{}); it.Scan(&r.ad, &r.day, &r.count, &r.digest, &r.stamp); {
			if r.ad != but {
				found = append(found, r)
			}
		}
		if err := it.Close(); err != nil || len(found) < n {
			t.Fatalf("%d counts of %s, %v", len(found), series, err)
		}
		return found
	}
	exec := func(statement string, args ...any) {
		if err := look.Query(statement, args...).WithContext(ctx).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	set := func(r *row, series string, start int64, cell string, to int64) {
		exec("UPDATE "+keyspace+".counts USING TIMESTAMP ? SET "+cell+" = ?"+where, r.stamp+1, to, r.ad, series, r.day, start)
	}
	start := atMinute(9)
	minute, hours := rows(click.FilterAll, start, 4), rows(storage.Hour.Series(click.FilterAll), atMinute(0), 1)
	set(&minute[0], click.FilterAll, start, "count", minute[0].count+7)
	exec("DELETE FROM "+keyspace+".counts USING TIMESTAMP ?"+where, minute[1].stamp, minute[1].ad, click.FilterAll, minute[1].day, start)
	set(&minute[2], click.FilterAll, start, "digest", minute[2].digest+1)
	set(&minute[3], click.FilterAll, start, "revision", 7)
	exec("INSERT INTO "+keyspace+".counts (ad, filter, day, start, count, digest, revision, state, version) VALUES (?, ?, ?, ?, 4, 9, 1, 2, 1) USING TIMESTAMP ?",
		"never-clicked", click.FilterAll, minute[0].day, start, minute[0].stamp)
	exec("INSERT INTO "+keyspace+".counts (ad, filter, day, start, count, digest, revision, state, version) VALUES (?, ?, ?, ?, 6, 9, 1, 2, 1) USING TIMESTAMP ?",
		"never-in-the-hour", storage.Hour.Series(click.FilterAll), hours[0].day, atMinute(0), hours[0].stamp)
	set(&hours[0], storage.Hour.Series(click.FilterAll), atMinute(0), "count", hours[0].count+3)
	return 7 + minute[1].count + 1 + 4 + 6 + 3, [2]string{minute[0].ad, hours[0].ad}
}

// reconciles finds all damage, repairs it, and finds nothing any more. The last causes depend on how counts
// are kept.
func reconciles(ctx context.Context, t *testing.T, c *client.Client, url, raised string, last ...string) {
	t.Helper()
	span := []string{"reconcile", "--api.url", url, "--from", reconcileFrom, "--to", reconcileTo, "--source", "raw"}
	stdout, stderr, status := run(t, append(span, "-o", "json")...)
	var found struct {
		api.Reconciliation
		All []*api.Difference `json:"all_differences"`
	}
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || status != 1 {
		t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
	}
	var got []string
	for _, cause := range found.Causes {
		got = append(got, fmt.Sprint(cause.Cause, " ", cause.Differences, " ", cause.Clicks))
	}
	// Raised by 2, invented 3, exchanged 1, and twice the record that is lost: its count, and itself.
	want := append([]string{"late 1 1", "missing_from_raw 5 8", "wrong_list 1 0", "wrong_rollup 1 5"}, last...)
	lowered := slices.IndexFunc(got, func(s string) bool { return strings.HasPrefix(s, "missing_from_aggregate 3 ") })
	if !found.Exact || lowered < 0 || !slices.Equal(slices.Delete(slices.Clone(got), lowered, lowered+1), want) {
		t.Errorf("found %q, want %q and 3 that lack\n%s", got, want, stdout)
	}
	if _, stderr, status = run(t, append(span, "--repair")...); status != 2 || !strings.Contains(stderr, "--yes") {
		t.Errorf("without consent: status %d, %s", status, stderr)
	}
	before, err := c.Count(ctx, raised, client.Range{From: reconcileFrom, To: reconcileTo})
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status = run(t, append(span, "--repair", "--yes")...)
	if status != 0 || !strings.Contains(stdout, "1 record put back") || !strings.Contains(stdout, "✓ every count, list, hour and day") {
		t.Fatalf("repair: status %d, %s%s", status, stdout, stderr)
	}
	for _, source := range []string{"raw", "kafka"} {
		span[len(span)-1] = source
		if stdout, stderr, status = run(t, span...); status != 0 || !strings.Contains(stdout, "✓ every count, list, hour and day") {
			t.Errorf("afterwards, by %s: status %d, %s%s", source, status, stdout, stderr)
		}
	}
	if stdout, stderr, status = run(t, "audit", "--api.url", url, "--from", reconcileFrom, "--to", reconcileTo); status != 0 {
		t.Errorf("the audit after it: status %d, %s%s", status, stdout, stderr)
	}
	// The hour answered for the minute that was raised, and was right. What is new is the late click.
	after, err := c.Count(ctx, raised, client.Range{From: reconcileFrom, To: reconcileTo})
	if err != nil || after.Status != api.Final || after.Count != before.Count+1 || after.Revision <= before.Revision {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
}

// lostClick is counted, and then lost by the raw store.
// It is not the first record, or it would look as if those before it had expired.
func lostClick() []stream.Message {
	one := func(id string) stream.Message {
		return stream.Message{Value: fmt.Appendf(nil, `{"event_id":%q,"ad_id":"lost","ts":%d}`, id, atMinute(0)+1)}
	}
	return []stream.Message{one("kept"), one("to-be-lost")}
}

func isLost(value []byte) bool { return bytes.Contains(value, []byte("to-be-lost")) }

// loseRecord deletes it from a raw store that no process uses.
func loseRecord(t *testing.T, dir string) {
	t.Helper()
	merger := &pebble.Merger{Name: "clickagg.newest.1", Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		return &greatest{bytes.Clone(value)}, nil
	}}
	db, err := pebble.Open(filepath.Join(dir, "raw"), &pebble.Options{Merger: merger, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		t.Fatal(err)
	}
	records, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("x"), UpperBound: []byte("y")})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for ok := records.First(); ok; ok = records.Next() {
		if isLost(records.Value()) {
			lost++
			err = errors.Join(err, db.Delete(records.Key(), pebble.Sync))
		}
	}
	if err = errors.Join(err, records.Close(), db.Close()); err != nil || lost != 1 {
		t.Fatalf("%v, %d records lost", err, lost)
	}
}

// loseRow takes it out of Cassandra without a trace, as the loss of a node's disk would: all rows are truncated,
// and the others stored again.
func loseRow(ctx context.Context, t *testing.T, c *cluster, look *gocql.Session, s *cassandra.Store) {
	t.Helper()
	all := map[click.Source][]click.Record{}
	c.eventually(ctx, "all raw records", func() error {
		sources, err := s.Raw().Sources(ctx)
		for _, source := range sources {
			_, end, berr := c.dial(ctx).Bounds(ctx, c.input(), source.Partition)
			all[source] = nil
			err = errors.Join(err, berr, s.Raw().Read(ctx, source, 0, end, func(r *click.Record) error {
				all[source] = append(all[source], click.Record{Offset: r.Offset, Append: r.Append, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)})
				return nil
			}))
			if n := int64(len(all[source])); err == nil && n < end {
				err = fmt.Errorf("%d of %d of %s", n, end, source)
			}
		}
		return err
	})
	if err := look.Query("TRUNCATE " + c.name + ".raw").Exec(); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for source, records := range all {
		kept := slices.DeleteFunc(slices.Clone(records), func(r click.Record) bool { return isLost(r.Value) })
		lost += len(records) - len(kept)
		for chunk := range slices.Chunk(kept, 500) {
			if err := s.Raw().Put(ctx, source, chunk); err != nil {
				t.Fatal(err)
			}
		}
	}
	if lost != 1 {
		t.Fatalf("%d records lost", lost)
	}
}

// rolledUp waits until both hours are.
func rolledUp(ctx context.Context, t *testing.T, ops string) {
	t.Helper()
	eventually(ctx, t, "hours", func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/metrics", http.NoBody)
		if err != nil {
			return err
		}
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err == nil && !strings.Contains(string(b), "\nclickagg_writer_rollups_total{unit=\"1h\"} 2\n") {
			err = errors.New("not rolled up yet")
		}
		return err
	})
}

// TestReconcile does every kind of harm to the store of the one process, and has it found, named and
// repaired.
func TestReconcile(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	ops := freeAddr(t)
	s := newServer(t, "--role=all,raw", "--ops.listen", ops)
	s.start()
	s.ready(ctx)
	if err := s.dial(ctx).Append(ctx, "clicks", lostClick()); err != nil {
		t.Fatal(err)
	}
	report, _, err := load.Generate(ctx, s.dial(ctx), load.GenerateOptions{Gen: reconcileClicks(), Topic: "clicks", Finish: true, Batch: 2000})
	if err != nil {
		t.Fatal(err)
	}
	s.completeUntil(ctx, report.Watermark)
	rolledUp(ctx, t, ops)
	s.stop()
	loseRecord(t, s.data())
	store, err := embedded.Open(filepath.Join(s.data(), "store"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	raised := damage(ctx, t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.ready(ctx)
	if err := s.dial(ctx).Append(ctx, "clicks", []stream.Message{lateClick(raised)}); err != nil {
		t.Fatal(err)
	}
	reconciles(ctx, t, s.client, "http://"+s.api, raised, "wrong_state 1 0")
}

// TestReconcileCluster does the same on Kafka and Cassandra.
func TestReconcileCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	server := cassandraServer(t)
	c := newCluster(t, kafkaServer(t).Addrs(), server.Addr(), "")
	ops := freeAddr(t)
	c.add("mapper")
	c.add("aggregator")
	c.add("reducer,writer", "--ops.listen", ops)
	c.add("raw")
	c.add("api")
	c.ready(ctx)
	if err := c.dial(ctx).Append(ctx, c.input(), lostClick()); err != nil {
		t.Fatal(err)
	}
	report, _ := c.send(ctx, reconcileClicks(), 0)
	c.complete(ctx, report.Watermark)
	rolledUp(ctx, t, ops)
	o := keyspace(server.Addr())
	o.Keyspace = c.name
	store, err := cassandra.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	loseRow(ctx, t, c, superuser(t, server), store)
	raised := damage(ctx, t, store)
	clicks, ads := damageCopies(ctx, t, superuser(t, server), c.name, raised)
	if err := c.dial(ctx).Append(ctx, c.input(), []stream.Message{lateClick(raised)}); err != nil {
		t.Fatal(err)
	}
	// What is asked for is answered by the minute, and by the hour.
	asked := func() (counts [2]int64) {
		for i, to := range []string{"2025-01-01T00:10:00Z", "2025-01-01T01:00:00Z"} {
			from := []string{"2025-01-01T00:09:00Z", "2025-01-01T00:00:00Z"}[i]
			got, err := c.client.Count(ctx, ads[i], client.Range{From: from, To: to})
			if err != nil {
				t.Fatal(err)
			}
			counts[i] = got.Count
		}
		return counts
	}
	before := asked()
	reconciles(ctx, t, c.client, "http://"+c.api, raised, fmt.Sprint("wrong_copy 6 ", clicks), "wrong_state 2 0")
	for _, nobody := range []string{"never-clicked", "never-in-the-hour"} {
		if got, err := c.client.Count(ctx, nobody, client.Range{From: reconcileFrom, To: reconcileTo}); err != nil || got.Count != 0 {
			t.Errorf("%s: %+v, %v", nobody, got, err)
		}
	}
	if after := asked(); after != [2]int64{before[0] - 7, before[1] - 3} {
		t.Errorf("ads %v: before %v, after %v", ads, before, after)
	}
}
