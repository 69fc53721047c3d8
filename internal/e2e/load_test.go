package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// TestLoadFormats loads the same three clicks, two of one minute and one of the
// next, in every form a file may have.
func TestLoadFormats(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	for i, test := range []struct {
		name   string // of the file; - is standard input
		text   func(clicks []time.Time) string
		packed bool
		flags  []string
	}{
		{name: "ms.csv", text: table("item_id,timestamp,id,country", func(i int, at time.Time) string {
			return fmt.Sprintf("AD,%d,e%d,\"Côte d'Ivoire, \"\"CI\"\"\"", at.UnixMilli(), i)
		}), flags: []string{"--format", "csv", "--map", "ad_id=item_id,ts=timestamp,event_id=id"}},
		{name: "rfc3339.csv", text: table("timestamp,id,item_id", func(i int, at time.Time) string {
			return fmt.Sprintf("%s,e%d,AD", at.In(time.FixedZone("", 2*3600)).Format(time.RFC3339Nano), i)
		}), flags: []string{"--format", "csv", "--map", "ad_id=item_id,ts=timestamp,event_id=id"}},
		{name: "database.csv", text: table("ts,event_id,ad_id", func(i int, at time.Time) string {
			return fmt.Sprintf("%s UTC,e%d,AD", at.Format(time.DateTime), i)
		})},
		{name: "windows.csv", text: func(clicks []time.Time) string {
			text := table("ts,event_id,ad_id", func(i int, at time.Time) string { return fmt.Sprintf("%d,e%d,AD", at.UnixMilli(), i) })(clicks)
			return "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n")
		}},
		{name: "clicks.jsonl.zst", text: jsonLines, packed: true},
		{name: "clicks.jsonl", text: func(clicks []time.Time) string { return "\n" + strings.TrimSuffix(jsonLines(clicks), "\n") }},
		{name: "-", text: jsonLines},
		{name: "-", text: jsonLines, packed: true},
		{name: "-", text: table("ts,event_id,ad_id", func(i int, at time.Time) string {
			return fmt.Sprintf("%d,e%d,AD", at.UnixMilli(), i)
		}), flags: []string{"--format", "csv"}},
	} {
		name := fmt.Sprintf("%d %s", i, test.name)
		first := time.Date(2024, 5, 1, 10, 3*i, 7, 0, time.UTC)
		ad := fmt.Sprintf("ad-%d", i)
		text := strings.ReplaceAll(test.text([]time.Time{first, first.Add(time.Second), first.Add(time.Minute)}), "AD", ad)
		if test.packed {
			text = zstandard(t, text)
		}
		file, stdin := test.name, text
		if file != "-" {
			file, stdin = write(t, test.name, text), ""
		}
		if stderr, status := s.produce(stdin, append(test.flags, "--file", file, "--finish", "--wait")...); status != 0 {
			t.Errorf("%s: status %d: %s", name, status, stderr)
			continue
		}
		minute := first.Truncate(time.Minute)
		got := s.must("export", "counts", "--from", minute.Format(time.RFC3339), "--to", minute.Add(2*time.Minute).Format(time.RFC3339))
		same(t, name, got, fmt.Sprintf("ad_id,minute,count\n%s,%s,2\n%[1]s,%[3]s,1\n", ad, minute.Format(time.RFC3339), minute.Add(time.Minute).Format(time.RFC3339)))
	}
}

// table writes clicks as CSV.
func table(header string, line func(i int, at time.Time) string) func([]time.Time) string {
	return func(clicks []time.Time) string {
		text := header + "\n"
		for i, at := range clicks {
			text += line(i, at) + "\n"
		}
		return text
	}
}

// jsonLines writes clicks of the ad AD.
func jsonLines(clicks []time.Time) (text string) {
	for i, at := range clicks {
		text += fmt.Sprintf(`{"event_id":"e%d","ad_id":"AD","ts":%d,"more":{"kept":[1]}}`+"\n", i, at.UnixMilli())
	}
	return text
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTimeUnit: seconds are read where the configuration says so, and a number
// in another unit is refused rather than guessed.
func TestTimeUnit(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t, "--input.time-unit", "s", "--input.fields.ts", "at")
	file := write(t, "clicks.csv", "at,event_id,ad_id\n1714557600,1,a\n1714557601000,2,a\n")
	stderr, status := s.produce("", "--file", file, "--finish", "--wait", "--input.time-unit", "s", "--input.fields.ts", "at")
	if status != 1 {
		t.Errorf("status %d: %s", status, stderr)
	}
	contains(t, stderr, file+":3: ", "is the time unit right?")
	same(t, "export", s.export(), "ad_id,minute,count\na,2024-05-01T10:00:00Z,1\n")
}

// TestLoadBadLines: what is no click is named by file and line and not sent, and
// the rest is loaded.
func TestLoadBadLines(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	lines := write(t, "clicks.jsonl", `{"event_id":"1","ad_id":"a","ts":"2024-05-01T10:00:00Z"}
{"event_id":"2","ad_id":"a"
{"event_id":"3","ad_id":"a","ts":"2024-05-01T10:00:01Z"}
{"event_id":"4","ad_id":"a","ts":"yesterday"}
{"event_id":"5","ts":"2024-05-01T10:00:01Z"}
`)
	stderr, status := s.produce("", "--file", lines, "--finish", "--wait")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	contains(t, stderr, lines+":2: malformed", lines+":4: bad_time", lines+":5: missing_field", "3 of 5 lines")
	same(t, "export", s.export(), "ad_id,minute,count\na,2024-05-01T10:00:00Z,2\n")

	table := write(t, "clicks.csv", "event_id,ad_id,ts\n6,a\n7,a,2024-05-01T10:00:02Z\n8,\"a,2024-05-01T10:00:03Z\n")
	stderr, status = s.produce("", "--file", table, "--finish")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	contains(t, stderr, table+":2: ", table+":4: ", "2 of 3 lines")
	stderr, status = s.produce("x\n", "--file", "-")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	contains(t, stderr, "stdin:1: malformed")
	if sum := s.settled(ctx, 3+2*4); sum.Rejected != 0 {
		t.Errorf("%+v", sum)
	}
}

// TestLoadRefused: what cannot be loaded is refused before anything is sent.
func TestLoadRefused(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	table := write(t, "clicks.csv", "event_id,ad_id,ts\n1,a,2024-05-01T10:00:00Z\n")
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{nil, 2, "name a file"},
		{[]string{"--file", table, "--wait"}, 2, "--finish"},
		{[]string{"--file", "/no/such/file"}, 3, "no such file"},
		{[]string{"--file", t.TempDir()}, 3, "is a directory"},
		{[]string{"--file", table, "--format", "xml"}, 2, "jsonl, csv"},
		{[]string{"--file", table, "--map", "ad_id=item"}, 3, `no column "item"`},
		{[]string{"--file", write(t, "x.jsonl.zst", "{}")}, 3, "no zstd file"},
		{[]string{"--file", table, "--topic", "no-such-topic"}, 3, "no-such-topic"},
		{[]string{"--file", table, "--brokers", freeAddr(t)}, 3, "is 'clickagg run' running there?"},
	} {
		stderr, status := s.produce("", test.args...)
		if status != test.status {
			t.Errorf("%v: status %d, not %d", test.args, status, test.status)
		}
		contains(t, stderr, test.says)
	}
	s.settled(ctx, 0)
}

// TestGenerate: what a generated file counts to is its truth, byte for byte.
func TestGenerate(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	dir := t.TempDir()
	clicks, truth := filepath.Join(dir, "clicks.jsonl.zst"), filepath.Join(dir, "truth.csv")
	for range 2 { // the same seed gives the same bytes
		before, _ := os.ReadFile(clicks)
		if _, stderr, status := run(t, "generate", "--events", "20000", "--seed", "9", "--file", clicks, "--truth", truth); status != 0 {
			t.Fatalf("generate: status %d: %s", status, stderr)
		}
		if after, _ := os.ReadFile(clicks); before != nil && !bytes.Equal(before, after) {
			t.Error("generated twice, the files differ")
		}
	}
	stderr, status := s.produce("", "--file", clicks, "--finish", "--wait")
	if status != 1 { // some generated lines are broken
		t.Errorf("status %d: %s", status, stderr)
	}
	want, err := os.ReadFile(truth)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "export", s.export(), string(want))
}
