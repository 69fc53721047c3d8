package e2e

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// limited is a context that ends a test which hangs.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// running is an installation whose process is ready.
func running(ctx context.Context, t *testing.T, args ...string) *server {
	t.Helper()
	s := newServer(t, args...)
	s.start()
	s.ready(ctx)
	return s
}

// produce runs clickagg produce against the installation.
func (s *server) produce(stdin string, args ...string) (stderr string, status int) {
	s.t.Helper()
	_, stderr, status = runWith(s.t, stdin, append([]string{"produce", "--brokers", s.broker, "--api.url", "http://" + s.api}, args...)...)
	return stderr, status
}

// load loads a file without a fault.
func (s *server) load(file string, args ...string) {
	s.t.Helper()
	if stderr, status := s.produce("", append([]string{"--file", file}, args...)...); status != 0 {
		s.t.Fatalf("produce %s: status %d: %s", file, status, stderr)
	}
}

// must runs a command that succeeds, and returns what it printed.
func (s *server) must(args ...string) string {
	s.t.Helper()
	stdout, stderr, status := s.command(args...)
	if status != 0 {
		s.t.Fatalf("%s: status %d: %s", strings.Join(args, " "), status, stderr)
	}
	return stdout
}

// export is the whole export, in order of its lines.
func (s *server) export() string {
	s.t.Helper()
	return s.must("export", "counts")
}

// settled waits until so many records were received and each of them was judged,
// and returns the sum of all sources' accounts.
func (s *server) settled(ctx context.Context, received int64) (sum api.Accounting) {
	s.t.Helper()
	s.eventually(ctx, fmt.Sprintf("%d records received", received), func() error {
		st, err := s.client.Status(ctx)
		if err != nil {
			return err
		}
		sum = total(st.Accounting)
		if sum.Received != received || sum.Pending != 0 {
			return fmt.Errorf("%+v", sum)
		}
		if !sum.Holds {
			s.t.Fatalf("the accounting does not hold: %+v", st.Accounting)
		}
		return nil
	})
	return sum
}

func total(accounts []api.Accounting) api.Accounting {
	sum := api.Accounting{Holds: true}
	for _, a := range accounts {
		sum.Received += a.Received
		sum.Marks += a.Marks
		sum.Late += a.Late
		sum.Rejected += a.Rejected
		sum.Counted += a.Counted
		sum.Duplicate += a.Duplicate
		sum.Conflict += a.Conflict
		sum.Crowded += a.Crowded
		sum.Stale += a.Stale
		sum.Pending += a.Pending
		sum.Holds = sum.Holds && a.Holds && a.Received == a.Marks+a.Late+a.Rejected+
			a.Counted+a.Duplicate+a.Conflict+a.Crowded+a.Stale+a.Pending
	}
	return sum
}

// answers waits until an ad's answer is as wanted. An answer follows its click by
// a tick of the shards, which the accounting does not wait for.
func (s *server) answers(ctx context.Context, ad string, from, to time.Time, want func(*api.Count) bool) (a api.Count) {
	s.t.Helper()
	s.eventually(ctx, "the answer for "+ad, func() error {
		text, stderr, status := s.command("query", "count", ad, "-o", "json",
			"--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339))
		if status != 0 {
			return fmt.Errorf("status %d: %s", status, stderr)
		}
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			s.t.Fatal(err)
		}
		if !want(&a) {
			return fmt.Errorf("it is %s", text)
		}
		return nil
	})
	return a
}

// read returns everything a topic's partition holds when it holds n records or more.
func read(ctx context.Context, t *testing.T, log stream.Log, topic string, n int64) (records []click.Record) {
	t.Helper()
	r, err := log.Open(ctx, topic, 0, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for int64(len(records)) < n {
		b, err := r.Read(ctx, time.Second)
		if err != nil {
			t.Fatalf("%s: %v after %d of %d records", topic, err, len(records), n)
		}
		for _, r := range b.Records { // views that end with the next Read
			r.Key, r.Value, r.Headers.Raw = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Headers.Raw)
			records = append(records, r)
		}
	}
	return records
}

// write makes a file of a test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpack is the content of a gzip file.
func unpack(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// row is one line of an export.
type row struct {
	AdID   string `json:"ad_id"`
	Minute string `json:"minute"`
	Count  int64  `json:"count"`
}

// rows reads an export in CSV.
func rows(t *testing.T, text string) (rows []row) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) == 0 {
		t.Fatalf("%d lines: %v", len(lines), err)
	}
	for _, l := range lines[1:] {
		n, err := strconv.ParseInt(l[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row{l[0], l[1], n})
	}
	return rows
}

// same compares two texts and shows the first line that differs.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s: line %d is %q, not %q (%d lines, not %d)", what, i+1, g[i], w[i], len(g), len(w))
		}
	}
	t.Fatalf("%s: %d lines, not %d", what, len(g), len(w))
}
