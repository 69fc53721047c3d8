package load

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
)

func options(events int) gen.Options {
	o := gen.Defaults()
	o.Events, o.Ads, o.Repeat, o.Conflict, o.Garbage = events, 100, 0.1, 0.01, 0.01
	return o
}

func readCounts(t *testing.T, path string) *gen.Counts {
	t.Helper()
	in, err := open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	content, release, err := in.unpack(UnpackedMax)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	c, err := gen.ReadCSV(content)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGenerateToTopic compares the log with the generator asked directly, and
// the truth in the file with the truth returned.
func TestGenerateToTopic(t *testing.T) {
	t.Parallel()
	var log memLog
	path := filepath.Join(t.TempDir(), "truth.csv.gz")
	watched := int64(0)
	r, truth, err := Generate(t.Context(), &log, GenerateOptions{
		Gen: options(20_000), Topic: "clicks", Finish: true, Truth: path, Batch: 900,
		Watch: func(t *gen.Truth) { watched = t.Clicks },
	})
	if err != nil || r.Sent != 20_000 {
		t.Fatalf("%+v, %v", r, err)
	}
	events, err := gen.New(options(20_000))
	if err != nil {
		t.Fatal(err)
	}
	want := gen.NewTruth()
	var values []string
	for e := (gen.Event{}); events.Next(&e); {
		want.Add(&e)
		values = append(values, string(e.Value))
	}
	got := log.values()
	slices.Sort(got)
	slices.Sort(values)
	if !slices.Equal(got, values) {
		t.Error("the log has other records than the generator makes")
	}
	for what, c := range map[string]*gen.Counts{"returned": &truth.Counts, "written": readCounts(t, path)} {
		if diff := gen.Compare(&want.Counts, c); !diff.Equal() {
			t.Errorf("%s: %s", what, &diff)
		}
	}
	if truth.Duplicates != want.Duplicates || truth.Conflicts != want.Conflicts || truth.Rejected != want.Rejected || watched != want.Clicks {
		t.Errorf("truth %+v, want %+v, watched %d", truth, want, watched)
	}
	end := want.Greatest - want.Greatest%60_000 + 60_000
	if mark := finishOf(t, &log); mark != fmt.Sprint(end) || r.Watermark != end {
		t.Errorf("mark %s, report %d, want %d", mark, r.Watermark, end)
	}
}

// TestGenerateToFile writes files of every kind and loads them again: what is
// sent is what was written but for the garbage, and a repeat follows its first.
func TestGenerateToFile(t *testing.T) {
	t.Parallel()
	var first string
	for _, name := range []string{"c.jsonl", "c.jsonl.gz", "c.jsonl.zst", "-"} {
		var stdout bytes.Buffer
		path := name
		if name != "-" {
			path = filepath.Join(t.TempDir(), name)
		}
		r, truth, err := Generate(t.Context(), nil, GenerateOptions{Gen: options(5000), File: path, Stdout: &stdout})
		if err != nil || r.Sent != 5000 {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		var log memLog
		loaded, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Stdin: &stdout, Check: naive})
		if err != nil || loaded.Lines != 5000 || loaded.Sent < 5000-truth.RejectedTotal() {
			t.Fatalf("%s: %+v, %v", name, loaded, err)
		}
		content := strings.Join(log.values(), "\n")
		if first == "" {
			first = content
		}
		if content != first {
			t.Errorf("%s: other clicks than in the first file", name)
		}
	}
}

// TestLiveRate runs on a false clock: the rate is kept, times are those of the
// clock, and the end of the context ends it with a truth that is that of the log.
func TestLiveRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		started := time.Now()
		o := options(0)
		o.Now, o.Garbage = time.Now, 0
		var log memLog
		log.before = func(_ context.Context, messages []stream.Message) error {
			for _, m := range messages {
				if _, _, at, err := naive(m.Value); err != nil || at > time.Now().UnixMilli() {
					t.Errorf("%s is sent before its time: %v", m.Value, err)
				}
			}
			return nil
		}
		path := filepath.Join(t.TempDir(), "truth.csv")
		r, truth, err := Generate(ctx, &log, GenerateOptions{Gen: o, Topic: "clicks", Rate: 1000, Finish: true, Truth: path})
		// The limiter says early that the deadline leaves no time for another batch.
		if err == nil || r.Watermark != click.None {
			t.Errorf("%+v, error %v", r, err)
		}
		elapsed := time.Since(started).Seconds()
		if sent := float64(r.Sent); sent < 990*elapsed || sent > 1000*elapsed+51 {
			t.Errorf("%v events in %v s", sent, elapsed)
		}
		if diff := gen.Compare(&truth.Counts, readCounts(t, path)); !diff.Equal() || int64(len(log.values())) != r.Sent {
			t.Errorf("%d in the log, %d sent, %s", len(log.values()), r.Sent, &diff)
		}
	})
}

func TestProduceRate(t *testing.T) {
	t.Parallel()
	path := write(t, "x", manyLines(500))
	synctest.Test(t, func(t *testing.T) {
		var log memLog
		started := time.Now()
		r, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, Rate: 100})
		if took := time.Since(started); err != nil || r.Sent != 500 || took < 4900*time.Millisecond || took > 5*time.Second {
			t.Errorf("%+v in %v, %v", r, took, err)
		}
	})
}

func TestGenerateRefused(t *testing.T) {
	t.Parallel()
	bad := options(0)
	for want, o := range map[string]GenerateOptions{
		"generate: events": {Gen: bad, File: "-"},
		"no such topic":    {Gen: options(1), Topic: "other"},
		"no such file":     {Gen: options(1), File: filepath.Join(t.TempDir(), "none", "x")},
	} {
		var log memLog
		if _, _, err := Generate(t.Context(), &log, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
