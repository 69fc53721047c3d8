package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// archivedFrom is the beginning of an hour that was long ago.
const archivedFrom = 1_764_000_000_000

// oldRecords are records of two sources that no log has any more, 10,000 received in each of some hours, and one of an
// hour long after them.
func oldRecords(hours int64) map[click.Source][]click.Record {
	rnd := rand.New(rand.NewPCG(4, 2))
	all := map[click.Source][]click.Record{}
	for p := range int32(2) {
		src := click.Source{Topic: "clicks.old", ID: click.TopicID{1, 2, 3}, Partition: p}
		for i := range hours * 10_000 {
			at := archivedFrom + i*360 // ms
			r := click.Record{Offset: i, Append: at, Value: fmt.Appendf(nil, `{"event_id":"%d-%d","ad_id":"ad-%d","ts":%d,"country":"%s"}`,
				p, i, rnd.IntN(100), at-rnd.Int64N(5_000), []string{"KR", "US"}[i%2])}
			switch i % 50 {
			case 7:
				r.Value = []byte("garbage \x00\xff")
			case 8:
				r.Key, r.Value, r.Headers = []byte("tombstone"), nil, click.MakeHeaders([]click.Header{{Key: "h"}})
			}
			all[src] = append(all[src], r)
		}
		all[src] = append(all[src], click.Record{Offset: hours * 10_000, Append: archivedFrom + (hours+5)*3_600_000, Key: []byte{}})
	}
	return all
}

// fillRaw makes a data directory with records in its raw store.
func fillRaw(t *testing.T, dir string, all map[click.Source][]click.Record) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := embedded.Open(filepath.Join(dir, "raw"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for src, records := range all {
		for part := range slices.Chunk(records, 10_000) {
			if err := s.Raw().Put(t.Context(), src, part); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// rawOf reads the raw store of a data directory that no process uses.
func rawOf(t *testing.T, dir string, src click.Source) (records []click.Record) {
	t.Helper()
	s, err := embedded.Open(filepath.Join(dir, "raw"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Raw().Read(t.Context(), src, 0, math.MaxInt64, func(r *click.Record) error {
		records = append(records, ownRecord(r))
		return nil
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return records
}

// filesIn reads all files below a directory but those that a killed process left half written.
func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), "_~") {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// archiveRun archives what a data directory has, and is killed if it takes longer than some time.
func archiveRun(ctx context.Context, t *testing.T, dir string, most time.Duration, args ...string) (killed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	c := exec.CommandContext(ctx, binary, append([]string{"archive", "run", "--archive.after", "24h", "--data-dir", dir}, args...)...)
	out, err := c.CombinedOutput()
	if err != nil && ctx.Err() == nil {
		t.Fatalf("archive run: %v\n%s", err, out)
	}
	return err != nil
}

// TestArchive archives a raw store, kills that again and again in another one, and compares. Then it looks at what is there as
// other programs do, damages it, and brings it back.
func TestArchive(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	all := oldRecords(4)
	whole, often := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "often")
	fillRaw(t, whole, all)
	fillRaw(t, often, all)
	begin := time.Now()
	if archiveRun(ctx, t, whole, time.Minute) {
		t.Fatal("archiving took more than a minute")
	}
	took := time.Since(begin)
	want := filesIn(t, filepath.Join(whole, "archive"))
	if len(want) != 2*2*4 {
		t.Fatalf("%d files: %v", len(want), slices.Sorted(maps.Keys(want)))
	}
	rnd, kills := rand.New(rand.NewPCG(1, uint64(begin.UnixNano()))), 0
	for archiveRun(ctx, t, often, took/8+time.Duration(rnd.Int64N(int64(took)))) {
		kills++
	}
	if got := filesIn(t, filepath.Join(often, "archive")); !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("after %d kills: %v", kills, slices.Sorted(maps.Keys(got)))
	}
	t.Logf("killed %d times", kills)

	stdout, stderr, status := run(t, "archive", "verify", "--data-dir", often)
	if status != 0 || stdout != "8 files with 80000 records: 0 faults\n" {
		t.Errorf("verify: %d, %s%s", status, stdout, stderr)
	}
	stdout, _, status = run(t, "archive", "list", "--data-dir", often, "-o", "json")
	var listed struct {
		Sources []struct {
			Source                                    string
			From, To, Files, Records, Clicks, Missing int64
		}
		Files []struct{ File string }
	}
	if err := json.Unmarshal([]byte(stdout), &listed); err != nil || status != 0 || len(listed.Files) != 8 || len(listed.Sources) != 2 {
		t.Fatalf("list: %d, %v, %s", status, err, stdout)
	}
	if s := listed.Sources[1]; s.Source != "clicks.old/1" || s.From != 0 || s.To != 40_000 || s.Files != 4 || s.Records != 40_000 || s.Clicks != 38_400 || s.Missing != 0 {
		t.Errorf("%+v", s)
	}
	t.Run("tables", func(t *testing.T) { readTables(ctx, t, filepath.Join(often, "archive"), all) })

	file := filepath.Join(often, "archive", listed.Files[2].File)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 4
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, status := run(t, "archive", "verify", "--data-dir", often); status != 1 || !strings.Contains(stderr, "is not what was archived") || !strings.Contains(stdout, "1 faults") {
		t.Errorf("verify of a damaged archive: %d, %s%s", status, stdout, stderr)
	}

	back := filepath.Join(t.TempDir(), "back")
	for range 2 {
		if _, stderr, status := run(t, "archive", "restore", "--data-dir", back, "--archive.url", filepath.Join(whole, "archive"),
			"--cassandra.raw-ttl", "175200h", "--from", "2025-11-24T17:00:00Z", "--to", "2025-11-24T19:00:00Z"); status != 0 {
			t.Fatal(stderr)
		}
	}
	for src, records := range all {
		if got := rawOf(t, back, src); !slices.EqualFunc(got, records[10_000:30_000], storagetest.SameRecord) {
			t.Errorf("%v: %d records were restored", src, len(got))
		}
	}
	there := []string{"archive", "restore", "--data-dir", back, "--archive.url", filepath.Join(whole, "archive")}
	if _, stderr, status := run(t, append(there, "--from", "2025-11-24T17:00:00Z")...); status != 2 || !strings.Contains(stderr, "raise cassandra.raw_ttl first") {
		t.Errorf("%d, %s", status, stderr)
	}
	stdout, stderr, status = run(t, there...)
	if status != 0 || !strings.Contains(stdout, "nothing that was received then") {
		t.Errorf("restore of what is not there: %d, %s%s", status, stdout, stderr)
	}
}

// tables reads an archive as other programs do, and prints what each of them sees.
const tables = `
import glob, json, sys, duckdb, pandas, pyarrow.compute as pc, pyarrow.dataset as ds, pyarrow.parquet as pq
path = sys.argv[1]
files = path + '/date=*/hour=*/*.parquet'
seen = {}
q = duckdb.sql(f"""SELECT count(*), count(event_id), count(DISTINCT ad_id), sum("offset"), epoch_ms(min(event_time)), epoch_ms(max(append_time)),
  count(*) FILTER (country = 'KR'), sum(octet_length(value)), min(date)::VARCHAR, count(DISTINCT hour), count(key), sum(header_count) FROM '{files}'""")
seen['duckdb'] = [int(v) if str(v).isdigit() else v for v in q.fetchall()[0]]
def summary(t):
    ms = lambda v: int(v.timestamp() * 1000)
    return [len(t), int(t.event_id.count()), int(t.ad_id.nunique()), int(t.offset.sum()), ms(t.event_time.min()), ms(t.append_time.max()),
        int((t.country == 'KR').sum()), int(t.value.dropna().map(len).sum()), str(t.date.astype(str).min()), int(t.hour.nunique()), int(t.key.count()), int(t.header_count.sum())]
seen['pyarrow'] = summary(ds.dataset(path, partitioning='hive').to_table().to_pandas())
seen['pandas'] = summary(pandas.read_parquet(path))
ordered = True
for f in glob.glob(files):
    p = pq.ParquetFile(f)
    assert str(p.schema_arrow.field('event_time').type) == 'timestamp[ms, tz=UTC]', p.schema_arrow
    for g in range(p.num_row_groups):
        t = p.read_row_group(g).to_pandas().dropna(subset=['event_time'])
        ordered &= t[['event_time', 'ad_id']].equals(t.sort_values(['event_time', 'ad_id'], kind='stable')[['event_time', 'ad_id']])
        assert len(p.metadata.row_group(g).sorting_columns) == 2
assert ordered
print(json.dumps(seen))
`

// readTables compares what DuckDB, pyarrow and pandas see with the records.
func readTables(ctx context.Context, t *testing.T, dir string, all map[click.Source][]click.Record) {
	python := os.Getenv("E2E_TABLES")
	if python == "" {
		const need = "needs E2E_TABLES, a Python with duckdb, pyarrow and pandas, as make e2e sets it"
		if os.Getenv("CI") != "" {
			t.Fatal(need)
		}
		t.Skip(need)
	}
	var rows, clicks, offsets, first, last, korean, size, keys, headers int64
	first = math.MaxInt64
	for _, records := range all {
		for _, r := range records[:len(records)-1] {
			rows++
			offsets += r.Offset
			size += int64(len(r.Value))
			headers += int64(r.Headers.Count)
			if r.Key != nil {
				keys++
			}
			last = max(last, r.Append)
			var c struct {
				TS      int64
				Country string
			}
			if json.Unmarshal(r.Value, &c) == nil {
				clicks++
				first = min(first, c.TS)
				if c.Country == "KR" {
					korean++
				}
			}
		}
	}
	want, _ := json.Marshal([]any{rows, clicks, 100, offsets, first, last, korean, size, "2025-11-24", 4, keys, headers})
	out, err := exec.CommandContext(ctx, python, "-c", tables, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var seen map[string]json.RawMessage
	if err := json.Unmarshal(out, &seen); err != nil || len(seen) != 3 {
		t.Fatalf("%v: %s", err, out)
	}
	for name, got := range seen {
		if strings.ReplaceAll(string(got), " ", "") != string(want) {
			t.Errorf("%s sees %s, want %s", name, got, want)
		}
	}
}

// TestArchiveS3 archives into object storage, where the files are the same as in a directory.
func TestArchiveS3(t *testing.T) {
	t.Parallel()
	ctx := limitedS3(t)
	storage, _ := objectStorage(ctx, t, nil)
	if err := storage.MakeBucket(ctx, "cold"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	fillRaw(t, dir, oldRecords(4))
	archiveRun(ctx, t, dir, time.Minute)
	config := write(t, "clickagg.yaml", fmt.Sprintf("data_dir: %s\narchive:\n  url: s3://cold/old/clicks\n  s3: {endpoint: %q, region: %s, access_key: %q, secret_key: %q}\n",
		dir, storage.Endpoint(), servers.S3Region, "file:"+write(t, "access", servers.S3AccessKey), "file:"+write(t, "secret", servers.S3SecretKey)))
	for most := 300 * time.Millisecond; archiveRun(ctx, t, dir, most, "--config", config); most *= 2 {
		t.Logf("killed after %v", most)
	}
	stdout, stderr, status := run(t, "archive", "verify", "--config", config)
	if status != 0 || stdout != "8 files with 80000 records: 0 faults\n" {
		t.Errorf("%d, %s%s", status, stdout, stderr)
	}
	var lists [2]string
	for i, args := range [][]string{{"--config", config}, {"--data-dir", dir}} {
		lists[i], _, _ = run(t, append([]string{"archive", "list", "-o", "json"}, args...)...)
	}
	if lists[0] != lists[1] || !strings.Contains(lists[0], "sha256") {
		t.Errorf("in a bucket:\n%s\nin a directory:\n%s", lists[0], lists[1])
	}
}

// TestArchiveRole: beside the roles that count, old records are archived, and leave the raw store
// no sooner.
func TestArchiveRole(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	all := oldRecords(4)
	s := newServer(t, "--role=all,raw,archive", "--archive.after", "24h", "--cassandra.raw-ttl", "48h")
	fillRaw(t, s.data(), all)
	for range 2 { // old records are deleted at a start, an hour later again
		s.start()
		s.ready(ctx)
		s.eventually(ctx, "archived", func() error {
			stdout, _, _ := run(t, "archive", "list", "--data-dir", s.data())
			if strings.Count(stdout, "0 to 40000 ") != 2 {
				return errors.New(stdout)
			}
			return nil
		})
		if status := s.stop(); status != 0 {
			t.Fatalf("ended with status %d", status)
		}
	}
	for src := range all {
		if got := rawOf(t, s.data(), src); len(got) == 0 || got[0].Offset != 40_000 {
			t.Errorf("%v: %d records are left", src, len(got))
		}
	}
	if stdout, stderr, status := run(t, "archive", "verify", "--data-dir", s.data()); status != 0 {
		t.Errorf("%d, %s%s", status, stdout, stderr)
	}
	if _, stderr, status := run(t, "run", "--role=all,archive", "--archive.after", "24h"); status != 2 || !strings.Contains(stderr, "raw and archive must be one process") {
		t.Errorf("%d, %s", status, stderr)
	}
	if _, stderr, status := run(t, "run", "--role=all,raw,archive"); status != 2 || !strings.Contains(stderr, "archive.after is 0") {
		t.Errorf("%d, %s", status, stderr)
	}
}

// TestArchiveCluster: with Kafka and Cassandra the role archives what the raw store has of topics that are gone, and of those
// that are not what is old enough, which is nothing yet; and what was lost is brought back.
func TestArchiveCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cold := filepath.Join(t.TempDir(), "cold")
	c := newCluster(t, kafkaServer(t).Addrs(), cassandraServer(t).Addr(), "archive:\n  url: "+cold+"\n  after: 24h\n")
	log := c.dial(ctx)
	sendRaw(ctx, t, log, c.input(), 1, 1_000, 1)
	o := keyspace(cassandraServer(t).Addr())
	o.Keyspace = c.name
	raw := openStore(t, o).Raw()
	old := oldRecords(4)
	for src, records := range old {
		old[src] = records[:15_000]
		if err := raw.Put(ctx, src, old[src]); err != nil {
			t.Fatal(err)
		}
	}
	keeper, first := c.add("raw"), c.add("archive")
	c.eventually(ctx, "stored", func() error {
		_, end, err := log.Bounds(ctx, c.input(), 0)
		at, _, cerr := log.Committed(ctx, c.name+".raw", c.input(), 0)
		if err != nil || cerr != nil || at.Offset < end {
			return fmt.Errorf("%d of %d, %v, %v", at.Offset, end, err, cerr)
		}
		return nil
	})
	second := c.add("archive") // does the same once more
	first.kill()
	first.start()
	c.eventually(ctx, "archived", func() error {
		stdout, _, _ := run(t, "archive", "list", "--config", c.file)
		if strings.Count(stdout, "0 to 14999 ") != 2 {
			return errors.New(stdout)
		}
		return nil
	})
	for _, m := range []*member{keeper, first, second} {
		if status := m.stop(ctx); status != 0 {
			t.Errorf("%s ended with status %d", m.name, status)
		}
	}
	if _, stderr, status := run(t, "archive", "run", "--config", c.file); status != 0 {
		t.Error(stderr)
	}
	stdout, stderr, status := run(t, "archive", "verify", "--config", c.file)
	if status != 0 || stdout != "4 files with 30000 records: 0 faults\n" {
		t.Errorf("%d, %s%s", status, stdout, stderr)
	}
	look := superuser(t, cassandraServer(t))
	for _, table := range []string{"raw", "raw_buckets"} {
		if err := look.Query("TRUNCATE " + c.name + "." + table).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	if _, stderr, status := run(t, "archive", "restore", "--config", c.file, "--from", "2025-11-24T16:00:00Z", "--to", "2025-11-25T00:00:00Z"); status != 0 {
		t.Fatal(stderr)
	}
	for src, want := range old {
		var got []click.Record
		err := raw.Read(ctx, src, 0, math.MaxInt64, func(r *click.Record) error {
			got = append(got, ownRecord(r))
			return nil
		})
		if err != nil || !slices.EqualFunc(got, want, storagetest.SameRecord) {
			t.Errorf("%v: %d records are back, %v", src, len(got), err)
		}
	}
}
