package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/cassandra"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// keyspaces counts those made in this run.
var keyspaces atomic.Int64

// keyspace is a store's place of its own, in which there is nothing yet.
func keyspace(addr string) cassandra.Options {
	return cassandra.Options{
		Hosts: []string{addr}, Keyspace: fmt.Sprintf("e2e_%d", keyspaces.Add(1)), Replication: []string{"datacenter1:1"},
		Timeout: 20 * time.Second,
	}
}

func applySchema(t *testing.T, o cassandra.Options) (steps []string) {
	t.Helper()
	if err := cassandra.Apply(t.Context(), o, func(s string) { steps = append(steps, s) }); err != nil {
		t.Fatal(err)
	}
	return steps
}

func openStore(t *testing.T, o cassandra.Options) *cassandra.Store {
	t.Helper()
	s, err := cassandra.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func count(ad string, start, n, version int64) click.Result {
	return click.Result{
		Ad: []byte(ad), Start: start, Size: 60_000, Filter: click.FilterAll,
		Count: n, Revision: 1, State: click.Final, Version: version,
	}
}

func TestCassandraContract(t *testing.T) {
	t.Parallel()
	server := cassandraServer(t)
	// Tables are emptied faster than they are made.
	const places = 3
	empty := make(chan cassandra.Options, places)
	for range places {
		o := keyspace(server.Addr())
		applySchema(t, o)
		empty <- o
	}
	look := superuser(t, server)
	storagetest.Run(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		o := <-empty
		t.Cleanup(func() {
			for _, table := range []string{"store", "marks", "counts", "windows", "starts", "days", "rankings", "lineage", "filters", "rollups", "touches", "lists"} {
				if err := look.Query("TRUNCATE " + o.Keyspace + "." + table).Exec(); err != nil {
					t.Errorf("empty %s: %v", table, err)
				}
			}
			empty <- o
		})
		s := openStore(t, o)
		return s, func() storage.Store {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = openStore(t, o)
			return s
		}
	})
}

// TestCassandraPages reads windows of more ads than a page and an Apply of more rows
// than requests under way, and a range of years with little in it.
func TestCassandraPages(t *testing.T) {
	t.Parallel()
	o := keyspace(cassandraServer(t).Addr())
	applySchema(t, o)
	s := openStore(t, o)
	const ads, decade = 9000, 10 * 365 * 24 * 3_600_000
	b := storage.Batch{}
	for _, start := range []int64{0, decade} {
		for i := range ads {
			b.Results = append(b.Results, count(fmt.Sprintf("ad-%05d", i), start, int64(i+1), 7))
		}
	}
	untilApplied(t, s, &b) // a machine with much else to do is a slow store
	i := 0
	err := s.Scan(t.Context(), click.FilterAll, -decade, 10*decade, func(c *storage.Cell) error {
		if want := &b.Results[i]; string(c.Ad) != string(want.Ad) || c.Start != want.Start || c.Count != want.Count {
			return fmt.Errorf("number %d is %s %d: %d", i, c.Ad, c.Start, c.Count)
		}
		i++
		return nil
	})
	if err != nil || i != 2*ads {
		t.Fatalf("%d rows, %v", i, err)
	}
	cells, err := s.Count(t.Context(), click.FilterAll, []byte("ad-00005"), -decade, 10*decade)
	if err != nil || len(cells) != 2 || cells[0].Count != 6 || cells[1].Start != decade {
		t.Errorf("%+v, %v", cells, err)
	}
	stop := errors.New("enough")
	if err := s.Scan(t.Context(), click.FilterAll, 0, 10*decade, func(*storage.Cell) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a scan that was stopped: %v", err)
	}
}

func TestCassandraSchema(t *testing.T) {
	t.Parallel()
	server := cassandraServer(t)
	o := keyspace(server.Addr())
	if _, err := cassandra.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "schema apply") {
		t.Errorf("open without a keyspace: %v", err)
	}
	o.CountsTTL, o.RankingsTTL = 48*time.Hour, 24*time.Hour
	wantDifferences(t, o, "keyspace "+o.Keyspace)

	var both sync.WaitGroup
	plans := make([]int, 3)
	for i := range plans {
		both.Go(func() {
			if err := cassandra.Apply(t.Context(), o, func(string) { plans[i]++ }); err != nil {
				t.Errorf("one of three at once: %v", err)
			}
		})
	}
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	slices.Sort(plans)
	if plans[1] > 1 { // at most the keyspace
		t.Errorf("the three took %v steps", plans)
	}
	wantDifferences(t, o)
	if steps := applySchema(t, o); len(steps) != 0 {
		t.Errorf("applied again: %v", steps)
	}

	o.RankingsTTL = 72 * time.Hour
	wantDifferences(t, o, "default_time_to_live of table days", "default_time_to_live of table rankings", "default_time_to_live of table lists")
	plan, err := cassandra.Plan(t.Context(), o)
	if steps := applySchema(t, o); err != nil || len(steps) != 3 || !slices.Equal(steps, plan) {
		t.Errorf("%q was planned and %q done: %v", plan, steps, err)
	}
	wantDifferences(t, o)

	look := superuser(t, server)
	run := func(cql string) {
		t.Helper()
		if err := look.Query(fmt.Sprintf(cql, o.Keyspace)).WithContext(t.Context()).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("../../storage/cassandra/schema/*.cql")
	if err != nil {
		t.Fatal(err)
	}
	later := fmt.Sprint(len(files) + 1)
	run(`INSERT INTO %s.schema_migrations (number, name, checksum) VALUES (` + later + `, 'later.cql', 'x')`)
	wantDifferences(t, o, "migration "+later)
	openStore(t, o) // a newer schema does not keep this program out
	run(`DELETE FROM %s.schema_migrations WHERE number = ` + later)
	run(`UPDATE %s.schema_migrations SET checksum = 'another' WHERE number = 2`)
	wantDifferences(t, o, "migration 2")
	if err := cassandra.Apply(t.Context(), o, func(string) {}); err == nil {
		t.Error("applied over a changed migration")
	}
	if _, err := cassandra.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another migration 2") {
		t.Errorf("open with a changed migration: %v", err)
	}
	run(`ALTER TABLE %s.counts WITH compaction = {'class': 'SizeTieredCompactionStrategy'}`)
	run(`DROP TABLE %s.marks`)
	wantDifferences(t, o, "migration 2", "table marks", "compaction of table counts")
}

func wantDifferences(t *testing.T, o cassandra.Options, want ...string) {
	t.Helper()
	found, err := cassandra.Check(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range found {
		got = append(got, d.What)
		if d.Cure == "" || d.Have == d.Want {
			t.Errorf("%+v", d)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("check found %q, want %q", got, want)
	}
}

func superuser(t *testing.T, c *servers.Cassandra) *gocql.Session {
	t.Helper()
	s, err := c.Session()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestCassandraPrint runs what print prints, as cqlsh would.
func TestCassandraPrint(t *testing.T) {
	t.Parallel()
	server := cassandraServer(t)
	o := keyspace(server.Addr())
	o.CountsTTL = 24 * time.Hour
	var text strings.Builder
	if err := cassandra.Print(&text, o); err != nil {
		t.Fatal(err)
	}
	session := superuser(t, server)
	for line := range strings.SplitSeq(uncommented(text.String()), ";") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "USE ") {
			continue
		}
		for _, before := range []string{"CREATE TABLE IF NOT EXISTS ", "INSERT INTO ", "ALTER TABLE "} {
			if rest, ok := strings.CutPrefix(line, before); ok {
				line = before + o.Keyspace + "." + rest
			}
		}
		if err := session.Query(line).WithContext(t.Context()).Exec(); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	wantDifferences(t, o)
	openStore(t, o)
}

func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "-- ")
		b.WriteString(line + "\n")
	}
	return b.String()
}

// TestSchemaCommand makes the tables as a user does.
func TestSchemaCommand(t *testing.T) {
	t.Parallel()
	o := keyspace(cassandraServer(t).Addr())
	schema := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		stdout, stderr, status := run(t, slices.Concat([]string{"schema", args[0], "--cassandra.hosts", o.Hosts[0],
			"--cassandra.keyspace", o.Keyspace, "--cassandra.replication", "datacenter1:1"}, args[1:])...)
		if status != want {
			t.Fatalf("%v: status %d, %s%s", args, status, stdout, stderr)
		}
		return stdout, stderr
	}
	out, _ := schema(1, "check")
	contains(t, out, o.Keyspace, "is nothing", "clickagg schema apply")
	out, errs := schema(2, "apply")
	contains(t, out, "will CREATE KEYSPACE", "0002_counts.cql", "default_time_to_live")
	contains(t, errs, "--yes")
	schema(1, "check") // nothing was done
	out, _ = schema(0, "apply", "--yes")
	contains(t, out, "now CREATE KEYSPACE", "applied")
	out, _ = schema(0, "check", "-o", "json")
	contains(t, out, `"fits": true`, `"differences": []`)
	out, _ = schema(1, "check", "-o", "json", "--cassandra.counts-ttl", "48h")
	contains(t, out, `"have": "2160h0m0s"`, `"want": "48h0m0s"`)
	out, _ = schema(0, "apply")
	contains(t, out, "up to date")
	out, _ = schema(0, "print")
	contains(t, out, "CREATE KEYSPACE", "CREATE TABLE IF NOT EXISTS counts", "Partition key")
	_, errs = schema(3, "check", "--cassandra.hosts", "127.0.0.1:1")
	contains(t, errs, "store unavailable")
}

// A keyspace keeps its name, and serves one installation and one size of windows.
func TestCassandraNameAndOwner(t *testing.T) {
	t.Parallel()
	o := keyspace(cassandraServer(t).Addr())
	applySchema(t, o)
	o.Owner = "one"
	var names [4]string
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() {
			s, err := cassandra.Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			names[i] = s.ID()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if names[0] == "" || slices.ContainsFunc(names[:], func(n string) bool { return n != names[0] }) {
		t.Errorf("opened at once, the store is named %q", names)
	}
	other := o
	other.Owner = "two"
	if _, err := cassandra.Open(t.Context(), other); err == nil || !strings.Contains(err.Error(), "another installation") {
		t.Errorf("another installation: %v", err)
	}
	other.Owner = ""
	if s := openStore(t, other); s.ID() != names[0] {
		t.Errorf("a reader that is nobody finds %q", s.ID())
	}
	first, second := openStore(t, o), openStore(t, o)
	b := storage.Batch{Results: []click.Result{count("a", 0, 1, 1)}}
	if err := first.Apply(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	b.Results[0].Size = 1000
	if err := second.Apply(t.Context(), &b); !errors.Is(err, storage.ErrOtherSize) {
		t.Errorf("another size of windows: %v", err)
	}
}

// TestCassandraAway freezes the node: every call ends in bounded time, and goes on
// when the node does.
func TestCassandraAway(t *testing.T) {
	t.Parallel()
	server := ownCassandra(t, servers.CassandraOptions{})
	o := keyspace(server.Addr())
	applySchema(t, o)
	o.Timeout = 2 * time.Second
	s := openStore(t, o)
	b := storage.Batch{Marks: []storage.Mark{{Partitions: 1, Reducers: 1, Watermark: 60_000}}}
	for i := range 2000 {
		b.Results = append(b.Results, count(fmt.Sprintf("ad-%d", i), 0, 1, 1))
	}
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	calls := map[string]func() error{
		"apply":          func() error { return s.Apply(ctx, &b) },
		"count":          func() error { _, err := s.Count(ctx, click.FilterAll, []byte("ad-1"), 0, 1); return err },
		"scan":           func() error { return s.Scan(ctx, click.FilterAll, 0, 1, func(*storage.Cell) error { return nil }) },
		"complete until": func() error { _, err := s.CompleteUntil(ctx); return err },
		"open":           func() error { _, err := cassandra.Open(ctx, o); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, storage.ErrUnavailable) || ctx.Err() != nil {
			t.Errorf("%s without an answer: %v", name, err)
		}
	}
	server.Resume()
	untilApplied(t, s, &b)

	server.Kill()
	for name, call := range calls {
		if err := call(); !errors.Is(err, storage.ErrUnavailable) || ctx.Err() != nil {
			t.Errorf("%s without a node: %v", name, err)
		}
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Results[0].Count, b.Results[0].Version = 2, 2
	untilApplied(t, s, &b)
	cells, err := s.Count(t.Context(), click.FilterAll, []byte("ad-0"), 0, 1)
	if err != nil || len(cells) != 1 || cells[0].Count != 2 {
		t.Errorf("afterwards: %+v, %v", cells, err)
	}
}

// untilApplied applies a batch as the writer does: again, while the store is away.
func untilApplied(t *testing.T, s storage.Store, b *storage.Batch) {
	t.Helper()
	for t.Context().Err() == nil {
		err := s.Apply(t.Context(), b)
		if err == nil {
			return
		}
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Fatal(err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}

func ownCassandra(t *testing.T, o servers.CassandraOptions) *servers.Cassandra {
	t.Helper()
	s, err := servers.StartCassandra(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.LogTail())
		}
		_ = s.Close()
	})
	return s
}

// TestCassandraGuarded connects to a node that wants TLS and a password, with a
// role that may only read and write.
func TestCassandraGuarded(t *testing.T) {
	t.Parallel()
	certs, err := servers.MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := ownCassandra(t, servers.CassandraOptions{TLS: &certs, Password: true})
	super := keyspace(server.Addr())
	super.TLS = cassandra.TLS{Enabled: true, CAFile: certs.CA}
	super.User, super.Password = "cassandra", "cassandra"
	applySchema(t, super)
	admin := superuser(t, server)
	for _, cql := range []string{
		`CREATE ROLE clickagg WITH PASSWORD = 'pw-7' AND LOGIN = true`,
		`GRANT SELECT ON KEYSPACE ` + super.Keyspace + ` TO clickagg`,
		`GRANT MODIFY ON KEYSPACE ` + super.Keyspace + ` TO clickagg`,
	} {
		if err := admin.Query(cql).WithContext(t.Context()).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	o := super
	o.User, o.Password = "clickagg", "pw-7"
	s := openStore(t, o)
	if err := s.Apply(t.Context(), &storage.Batch{Results: []click.Result{count("a", 0, 1, 1)}}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name, want string
		change     func(*cassandra.Options)
	}{
		{"a wrong password", "not taken", func(o *cassandra.Options) { o.Password = "other" }},
		{"no password", "set user and password", func(o *cassandra.Options) { o.User, o.Password = "", "" }},
		{"a certificate of nobody", "ca_file", func(o *cassandra.Options) { o.TLS.CAFile = "" }},
		{"another server's name", "server_name", func(o *cassandra.Options) { o.TLS.ServerName = "elsewhere.example" }},
	} {
		o := o
		c.change(&o)
		_, err := cassandra.Open(t.Context(), o)
		if err == nil || errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "pw-7") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	o.RankingsTTL = time.Hour
	if err := cassandra.Apply(t.Context(), o, func(string) {}); err == nil || !strings.Contains(err.Error(), "right") {
		t.Errorf("a role without rights changes the schema: %v", err)
	}
}
