package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
)

const obd = "../e2e/testdata/obd/"

// TestRealClicks loads a week of real events and recounts what arrived.
func TestRealClicks(t *testing.T) {
	t.Parallel()
	var log memLog
	r, err := Produce(t.Context(), &log, ProduceOptions{
		Topic: "clicks", File: obd + "obd-all.jsonl.gz", Check: naive, Batch: 700, Finish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 20_000 || r.Lines != 20_000 || r.Bad != 0 || log.appends != 20_000/700+2 {
		t.Errorf("%+v in %d appends", r, log.appends)
	}
	var got gen.Counts
	seen := map[string]bool{}
	for _, v := range log.values() {
		ad, id, at, err := naive([]byte(v))
		if err != nil || seen[string(id)] {
			t.Fatalf("%s: %v", v, err)
		}
		seen[string(id)] = true
		got.Add(ad, time.UnixMilli(at).Truncate(time.Minute).UnixMilli(), 1)
	}
	in, err := open(obd+"obd-all.expected.csv.gz", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	content, release, err := in.unpack(UnpackedMax)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	want, err := gen.ReadCSV(content)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gen.Compare(want, &got); !diff.Equal() {
		t.Error(&diff)
	}
	minutes := got.Minutes()
	end := minutes[len(minutes)-1] + time.Minute.Milliseconds()
	if mark := finishOf(t, &log); mark != fmt.Sprint(end) || r.Watermark != end {
		t.Errorf("mark %s, report %d, want %d", mark, r.Watermark, end)
	}
}

func line(id int) string {
	return fmt.Sprintf(`{"event_id":"e%d","ad_id":"a","ts":%d}`, id, 1574553600000+id)
}

func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i) + "\n")
	}
	return b.String()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func packGzip(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, content); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func packZstd(t *testing.T, content string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(content), nil))
}

// TestBadLines pins what a user reads about a file with every kind of bad line.
func TestBadLines(t *testing.T) {
	t.Parallel()
	content := "\xef\xbb\xbf" + line(1) + "\r\n" + // 1: a byte order mark
		"\n  \t\r\n" + // 2, 3: blank
		"{broken\n" + // 4
		line(2) + "\n" + // 5
		strings.Repeat("x", lineMax+1) + "\n" + // 6
		strings.Repeat("y", 3*lineMax) + "\r\n" + // 7
		`{"event_id":"e","ad_id":"a","ts":"a` + "\\u001b" + `[31m"}` + "\n" + // 8
		line(3) + strings.Repeat(" ", lineMax-len(line(3))) + "\r\n" + // 9: as long as a line may be
		line(4) // 10: no line end
	path := write(t, "clicks.jsonl", content)
	var log memLog
	var out strings.Builder
	r, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 4 || r.Bad != 4 || r.Lines != 8 || r.Greatest != 1574553600004 || r.Watermark != click.None {
		t.Errorf("%+v", r)
	}
	want := strings.ReplaceAll(`F:4: malformed
F:6: line is over 1048576 bytes
F:7: line is over 1048576 bytes
F:8: bad_time: a`+"\uFFFD"+`[31m
4 clicks, `, "F", path)
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestManyBadLines(t *testing.T) {
	t.Parallel()
	path := write(t, "f", strings.Repeat("bad\n", 25)+line(1)+"\n"+strings.Repeat("bad\n", 100))
	for _, batch := range []int{1, 7, 20, 1000} {
		var log memLog
		var out strings.Builder
		r, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, Batch: batch, Out: &out})
		if err != nil || r.Bad != 125 || r.Sent != 1 {
			t.Errorf("batch %d: %+v, %v", batch, r, err)
		}
		if n := strings.Count(out.String(), ": malformed\n"); n != Shown {
			t.Errorf("batch %d: %d bad lines shown", batch, n)
		}
		if n := strings.Count(out.String(), "further bad lines"); n != 1 {
			t.Errorf("batch %d: %d notes on further bad lines", batch, n)
		}
	}
}

// TestPacked loads the same lines however they come.
func TestPacked(t *testing.T) {
	t.Parallel()
	plain := manyLines(3000)
	for name, content := range map[string]string{
		"a.jsonl":     plain,
		"a.jsonl.gz":  packGzip(t, plain),
		"a.jsonl.zst": packZstd(t, plain),
		"no-name":     packGzip(t, plain),
		"no-name-2":   packZstd(t, plain),
		"members.gz":  packGzip(t, plain[:1000]) + packGzip(t, plain[1000:]),
		"frames.zst":  packZstd(t, plain[:1000]) + packZstd(t, plain[1000:]),
	} {
		for _, stdin := range []bool{false, true} {
			o := ProduceOptions{Topic: "clicks", File: "-", Stdin: strings.NewReader(content), Check: naive, Batch: 300}
			if !stdin {
				o.File, o.Stdin = write(t, name, content), nil
			}
			var log memLog
			r, err := Produce(t.Context(), &log, o)
			if err != nil || r.Sent != 3000 || len(log.values()) != 3000 {
				t.Errorf("%s, stdin %v: %+v, %v", name, stdin, r, err)
			}
		}
	}
}

func TestInputRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packed := packGzip(t, manyLines(3000))
	bomb := packGzip(t, strings.Repeat(line(1)+"\n", 30_000))
	for _, c := range []struct {
		o    ProduceOptions
		want string
	}{
		{ProduceOptions{File: filepath.Join(dir, "none")}, "no such file"},
		{ProduceOptions{File: dir}, "is a directory"},
		{ProduceOptions{File: write(t, "x", ""), Topic: "other"}, "no such topic"},
		{ProduceOptions{File: write(t, "x", ""), Format: "xml"}, `format "xml"`},
		{ProduceOptions{File: write(t, "x", ""), Map: map[string]string{"a": "b"}}, "only columns of csv"},
		{ProduceOptions{File: write(t, "x.gz", manyLines(1))}, "no gzip file"},
		{ProduceOptions{File: write(t, "x.zst", packed)}, ""},
		{ProduceOptions{File: write(t, "x.zst", manyLines(1))}, "no zstd file"},
		{ProduceOptions{File: write(t, "cut.gz", packed[:len(packed)/2])}, "unexpected EOF"},
		{ProduceOptions{File: write(t, "bomb.gz", bomb), UnpackedMax: 1 << 20}, "over 1048576 bytes"},
		{ProduceOptions{File: write(t, "bomb.zst", packZstd(t, manyLines(30_000))), UnpackedMax: 1 << 20}, "over 1048576 bytes"},
	} {
		if c.o.Topic == "" {
			c.o.Topic = "clicks"
		}
		c.o.Check, c.o.Finish = naive, true
		var log memLog
		r, err := Produce(t.Context(), &log, c.o)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", c.o.File, err, c.want)
		case err != nil && r.Watermark != click.None:
			t.Errorf("%s: finished after %v", c.o.File, err)
		}
		if over := int64(len(strings.Join(log.values(), "\n"))); c.o.UnpackedMax > 0 && (over > c.o.UnpackedMax || !errors.Is(err, ErrUnpacked)) {
			t.Errorf("%s: %d bytes sent, %v", c.o.File, over, err)
		}
	}
}

// TestExactLimit: what is as large as allowed is no bomb.
func TestExactLimit(t *testing.T) {
	t.Parallel()
	plain := manyLines(2000)
	path := write(t, "x.gz", packGzip(t, plain))
	for most, ok := range map[int64]bool{int64(len(plain)): true, int64(len(plain)) - 1: false} {
		var log memLog
		_, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, UnpackedMax: most})
		if (err == nil) != ok {
			t.Errorf("limit %d of %d: %v", most, len(plain), err)
		}
	}
}

// TestOrder: within a partition clicks lie as in the file.
func TestOrder(t *testing.T) {
	t.Parallel()
	var log memLog
	path := write(t, "x", manyLines(5000))
	if _, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, Batch: 64}); err != nil {
		t.Fatal(err)
	}
	for p, messages := range log.partitions {
		last := int64(0)
		for _, m := range messages {
			_, id, at, err := naive(m.Value)
			if err != nil || at <= last || string(id) != string(m.Key) {
				t.Fatalf("partition %d: %s with key %s after %d: %v", p, m.Value, m.Key, last, err)
			}
			last = at
		}
	}
}

// TestFinishOfDisorder: the mark is that of the newest click, wherever it lies.
func TestFinishOfDisorder(t *testing.T) {
	t.Parallel()
	for at := range 5 {
		var content strings.Builder
		for i := range 5 {
			id := i
			if i == at {
				id = 59_999 // still in the minute of the others
			}
			content.WriteString(line(id) + "\n")
		}
		var log memLog
		r, err := Produce(t.Context(), &log, ProduceOptions{
			Topic: "clicks", File: write(t, "x", content.String()), Check: naive, Batch: 2, Finish: true,
		})
		if mark := finishOf(t, &log); err != nil || r.Greatest != 1574553659999 || mark != "1574553660000" {
			t.Errorf("newest at %d: %+v, mark %s, %v", at, r, mark, err)
		}
	}
}

// TestNothingToFinish: without a click there is no time to promise.
func TestNothingToFinish(t *testing.T) {
	t.Parallel()
	var log memLog
	r, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: write(t, "x", "bad\n"), Check: naive, Finish: true})
	if err != nil || r.Bad != 1 || log.appends != 0 || r.Watermark != click.None {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestCancel: an append that has begun is finished and reported; nothing follows.
func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var log memLog
	log.before = func(ctx context.Context, _ []stream.Message) error {
		if log.appends == 3 {
			cancel()
		}
		return ctx.Err()
	}
	path := write(t, "x", manyLines(5000))
	r, err := Produce(ctx, &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, Batch: 100, Finish: true})
	if !errors.Is(err, context.Canceled) || r.Sent != 400 || len(log.values()) != 400 || r.Watermark != click.None {
		t.Errorf("%+v, %v; %d in the log", r, err, len(log.values()))
	}
}

func TestAppendFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var log memLog
	log.before = func(context.Context, []stream.Message) error {
		if log.appends == 2 {
			return broken
		}
		return nil
	}
	path := write(t, "x", manyLines(5000))
	r, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, Batch: 100, Finish: true})
	if !errors.Is(err, broken) || r.Sent != 200 || r.Watermark != click.None {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestPipe: lines that a paused pipe has delivered are sent without waiting for
// more, and a cancel does not wait for the pipe.
func TestPipe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	pipe, w := io.Pipe()
	arrived := make(chan int, 10)
	log := memLog{before: func(_ context.Context, messages []stream.Message) error {
		arrived <- len(messages)
		return nil
	}}
	type outcome struct {
		r   Report
		err error
	}
	done := make(chan outcome)
	go func() {
		r, err := Produce(ctx, &log, ProduceOptions{Topic: "clicks", File: "-", Stdin: pipe, Check: naive})
		done <- outcome{r, err}
	}()
	for range 3 {
		if _, err := io.WriteString(w, line(1)+"\n"+line(2)+"\n"+line(3)[:7]); err != nil {
			t.Fatal(err)
		}
		if n := <-arrived; n != 2 {
			t.Errorf("%d clicks arrived, want 2", n)
		}
		if _, err := io.WriteString(w, line(3)[7:]+"\n"); err != nil {
			t.Fatal(err)
		}
		if n := <-arrived; n != 1 {
			t.Errorf("%d clicks arrived, want 1", n)
		}
	}
	cancel()
	if o := <-done; !errors.Is(o.err, context.Canceled) || o.r.Sent != 9 {
		t.Errorf("%+v", o)
	}
	w.Close() // lets go of the reader
}

// A forged time must not reach the topic: it would set the watermark that
// --finish promises, and --wait would wait for it.
func TestAheadIsRefused(t *testing.T) {
	t.Parallel()
	now := time.Now().UnixMilli()
	line := func(id string, ts int64) string { return fmt.Sprintf(`{"event_id":%q,"ad_id":"a","ts":%d}`, id, ts) }
	lines := line("good", now) + "\n" + line("forged", now+3_600_000) + "\n"
	var log memLog
	r, err := Produce(t.Context(), &log, ProduceOptions{
		Topic: "clicks", File: "-", Stdin: strings.NewReader(lines), Check: naive, MaxFuture: time.Minute, Finish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 1 || r.Bad != 1 || r.Watermark > now+60_000 {
		t.Errorf("%+v", r)
	}
}
