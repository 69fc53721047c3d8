package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

const (
	replaySteps   = `{"progress":{"step":"counting","done":4,"total":9}}` + "\n" + `{"progress":{"step":"publishing","done":2,"total":2}}` + "\n"
	replayChanges = `{"change":{"window_start":"2019-11-24T11:00:00Z","filter_identifier":"000","ad_id":"a\u001b","stored":1000,"count":2}}` + "\n" +
		`{"change":{"window_start":"2019-11-24T11:00:00Z","filter_identifier":"de","stored":7,"count":7}}` + "\n"
)

// replayed is the last line of an answer.
func replayed(windows, counts, number int) string {
	return fmt.Sprintf(`{"outcome":{"start_time":"2019-11-24T11:00:00Z","to_time":"2019-11-24T12:00:00Z","windows":%d,"counts":%d,"stored":1007,"clicks":9,`+
		`"exact":true,"published":true,"correction":%d,"scanned":{"source":"input topics","sources":2,"records":9,"clicks":8,"whole":true,"unsure":0,"crowded":0}}}`+"\n", windows, counts, number)
}

const (
	replayTotals = "2019-11-24T11:00:00Z to 2019-11-24T12:00:00Z: 1 count in 2 windows differ; 1,007 clicks are stored, and should be 9\n" +
		"counted from 9 records in 2 partitions of the input topics: exact\n"
	replayNothing = "2019-11-24T11:00:00Z to 2019-11-24T12:00:00Z: nothing differs; 9 clicks stored\n" +
		"counted from 9 records in 2 partitions of the input topics: exact\n"
)

// serveReplays answers a look and a change with texts of their own, and notes what it was asked.
func serveReplays(t *testing.T, look, change string) (c *client.Client, asked *[]string) {
	t.Helper()
	asked = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.String())
		w.Header().Set("Content-Type", "application/x-ndjson")
		text := look
		if r.Method == http.MethodPost {
			text = change
		}
		_, _ = io.WriteString(w, text)
	}))
	c, err := client.New(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c, asked
}

func TestReplayDryRun(t *testing.T) {
	t.Parallel()
	const head = "MINUTE                FILTER            STORED        CLICKS  AD\n"
	for output, want := range map[string]string{
		Table: head + "2019-11-24T11:00:00Z  000                1,000             2  a\uFFFD\n" +
			"2019-11-24T11:00:00Z  de                     7             7  (its ranked list)\n" + replayTotals,
		CSV: "window_start,filter_identifier,ad_id,stored,count\n2019-11-24T11:00:00Z,000,a\x1b,1000,2\n2019-11-24T11:00:00Z,de,,7,7\n",
	} {
		c, asked := serveReplays(t, replayChanges+replaySteps+replayed(2, 1, 0), "")
		var b bytes.Buffer
		o := ReplayOptions{DryRun: true, Output: output, Question: client.ReplayQuestion{Range: client.Range{From: "1", To: "2"}, Ads: []string{"a", "b"}, Source: "raw", Late: true}}
		if err := Replay(t.Context(), c, o, &b); !errors.Is(err, ErrDiffers) || b.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", output, err, b.String(), want)
		}
		if (*asked)[0] != "GET /v1/replay?ad_id=a&ad_id=b&late=true&source=raw&start_time=1&to_time=2" {
			t.Error(*asked)
		}
	}
	for text, changes := range map[string]int{replayChanges: 2, "": 0} {
		c, _ := serveReplays(t, text+replayed(changes, changes/2, 0), "")
		var b bytes.Buffer
		err := Replay(t.Context(), c, ReplayOptions{DryRun: true, Output: JSON}, &b)
		var all struct {
			Changes []map[string]any
			Outcome map[string]any
		}
		if bad := json.Unmarshal(b.Bytes(), &all); bad != nil || len(all.Changes) != changes || all.Outcome["exact"] != true || errors.Is(err, ErrDiffers) != (changes > 0) {
			t.Errorf("%v, %v: %s", err, bad, b.String())
		}
	}
	c, _ := serveReplays(t, replayed(0, 0, 0), "")
	var b bytes.Buffer
	err := Replay(t.Context(), c, ReplayOptions{DryRun: true, Output: Table}, &b)
	check(t, b.String(), err, replayNothing)
	if err := Replay(t.Context(), c, ReplayOptions{DryRun: true, Output: "xml"}, &b); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

// TestReplayPrints: a replay that publishes prints its outcome as JSON, and has no rows for CSV.
func TestReplayPrints(t *testing.T) {
	t.Parallel()
	c, asked := serveReplays(t, "", replayed(2, 1, 3))
	var b bytes.Buffer
	var outcome struct{ Correction int }
	err := Replay(t.Context(), c, ReplayOptions{Output: JSON}, &b)
	if bad := json.Unmarshal(b.Bytes(), &outcome); err != nil || bad != nil || outcome.Correction != 3 {
		t.Errorf("%v, %v: %s", err, bad, b.String())
	}
	for _, output := range []string{CSV, "xml"} {
		if err := Replay(t.Context(), c, ReplayOptions{Output: output}, &b); !errors.Is(err, ErrUsage) || len(*asked) != 1 {
			t.Errorf("%s: %v, asked %v", output, err, *asked)
		}
	}
	// Case: what is refused is not taken for "nothing differs".
	b.Reset()
	c, _ = serveReplays(t, `{"problem":{"type":"x","title":"t","status":400,"detail":"ask for no later ones"}}`+"\n", "")
	if err := Replay(t.Context(), c, ReplayOptions{DryRun: true, Output: CSV}, &b); err == nil || b.Len() > 0 {
		t.Errorf("%v, printed %q", err, b.String())
	}
}

// TestReplayAsks: nothing is published before somebody was told what, and agreed.
func TestReplayAsks(t *testing.T) {
	t.Parallel()
	told := ""
	answer := func(yes bool) func(string) (bool, error) {
		return func(found string) (bool, error) { told = found; return yes, nil }
	}
	look, change := replayChanges+replayed(2, 1, 0), replaySteps+replayed(2, 1, 3)
	var b, shown bytes.Buffer
	bars := func(total int64, unit string) *progress.Bar { return progress.Start(&shown, false, total, unit) }

	c, asked := serveReplays(t, look, change)
	err := Replay(t.Context(), c, ReplayOptions{Agree: answer(true), Question: client.ReplayQuestion{Inexact: true}, Progress: bars}, &b)
	check(t, b.String(), err, replayTotals+"published as correction 3\n")
	if told != replayTotals || strings.Join(*asked, " ") != "GET /v1/replay POST /v1/replays?inexact=true" {
		t.Errorf("told %s; asked %v", told, *asked)
	}
	if text := shown.String(); !strings.Contains(text, "4 records") || !strings.Contains(text, "2 counts published") {
		t.Errorf("shown was %s", text)
	}

	c, asked = serveReplays(t, look, change)
	if err := Replay(t.Context(), c, ReplayOptions{Agree: answer(false)}, &b); !errors.Is(err, ErrDeclined) || len(*asked) != 1 {
		t.Errorf("declined: %v, %v", err, *asked)
	}

	told = ""
	c, asked = serveReplays(t, replayed(0, 0, 0), change)
	b.Reset()
	err = Replay(t.Context(), c, ReplayOptions{Agree: answer(true)}, &b)
	check(t, b.String(), err, replayNothing)
	if told != "" || len(*asked) != 1 {
		t.Errorf("asked to publish nothing: %q, %v", told, *asked)
	}

	c, asked = serveReplays(t, look, change)
	b.Reset()
	err = Replay(t.Context(), c, ReplayOptions{Question: client.ReplayQuestion{Resume: true}}, &b)
	check(t, b.String(), err, replayTotals+"published as correction 3\n")
	if strings.Join(*asked, " ") != "POST /v1/replays?resume=true" {
		t.Errorf("asked %v", *asked)
	}
}

// TestResumeGoesAlone: what a resumed replay would not use is refused, and nothing is asked.
func TestResumeGoesAlone(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]ReplayOptions{
		"--from": {Question: client.ReplayQuestion{Range: client.Range{From: "1"}}}, "--ad": {Question: client.ReplayQuestion{Ads: []string{"a"}}},
		"--filter": {Question: client.ReplayQuestion{Range: client.Range{Filter: "de"}}}, "--source": {Question: client.ReplayQuestion{Source: "raw"}},
		"--as-stored and --inexact": {Question: client.ReplayQuestion{AsStored: true, Inexact: true}},
		"--with-late":               {Question: client.ReplayQuestion{Late: true}}, "--dry-run": {DryRun: true},
	} {
		c, asked := serveReplays(t, "", "")
		o.Question.Resume = true
		if err := Replay(t.Context(), c, o, io.Discard); !errors.Is(err, ErrUsage) || len(*asked) > 0 {
			t.Errorf("%s: %v, asked %v", name, err, *asked)
		}
	}
}

// TestEndedAsStored: what is ended as stored is told as that, and not as a comparison; it goes with --resume only.
func TestEndedAsStored(t *testing.T) {
	t.Parallel()
	const outcome = `{"outcome":{"start_time":"2019-11-24T11:00:00Z","to_time":"2019-11-24T12:00:00Z",%s}}` + "\n"
	const text = "the %s of 2019-11-24T11:00:00Z to 2019-11-24T12:00:00Z was ended with the counts as they are stored; 2 ranked lists put in order\n" +
		"what they should be is not known: hold them against what clicks there are with clickagg reconcile\n"
	c, asked := serveReplays(t, "", fmt.Sprintf(outcome, `"windows":2,"correction":7,"as_stored":true`))
	var b bytes.Buffer
	err := Replay(t.Context(), c, ReplayOptions{Question: client.ReplayQuestion{Resume: true, AsStored: true}}, &b)
	check(t, b.String(), err, fmt.Sprintf(text, "replay"))
	if strings.Join(*asked, " ") != "POST /v1/replays?as_stored=true&resume=true" {
		t.Error(*asked)
	}
	if err := Replay(t.Context(), c, ReplayOptions{Question: client.ReplayQuestion{AsStored: true}}, &b); !errors.Is(err, ErrUsage) || len(*asked) != 1 {
		t.Errorf("%v, %v", err, *asked)
	}
	c, asked = serveReplays(t, "", fmt.Sprintf(outcome, `"repaired":{"as_stored":true,"lists":2}`))
	b.Reset()
	if err := Reconcile(t.Context(), c, ReconcileOptions{Resume: true, AsStored: true, Output: Table}, &b); !errors.Is(err, ErrDifferences) || b.String() != fmt.Sprintf(text, "repair") {
		t.Errorf("%v, %s", err, b.String())
	}
	if strings.Join(*asked, " ") != "POST /v1/repairs?as_stored=true&resume=true" {
		t.Error(*asked)
	}
	if err := Reconcile(t.Context(), c, ReconcileOptions{AsStored: true, Output: Table}, &b); !errors.Is(err, ErrUsage) || len(*asked) != 1 {
		t.Errorf("%v, %v", err, *asked)
	}
}

// TestReplayBreaksOff: a problem in the midst is told in its own words, and an answer without an end is none.
func TestReplayBreaksOff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		replaySteps + `{"problem":{"type":"x","title":"t","status":409,"detail":"finish it first"}}` + "\n": "finish it first",
		replaySteps: "broke off",
	} {
		c, _ := serveReplays(t, text, text)
		for _, dry := range []bool{true, false} {
			if err := Replay(t.Context(), c, ReplayOptions{DryRun: dry}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("dry %v: %v, want %s", dry, err, want)
			}
		}
	}
}
