package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/replay"
)

// replayer finds one count and one list that differ.
type replayer struct {
	q    replay.Question
	did  string
	fail error

	refuse error // before anything is said
}

func (r *replayer) report(watch replay.Watch) (replay.Report, error) {
	return replay.Report{
		Recount: recount.Report{Input: 1, Sources: 2, Records: 9, Clicks: 8, Whole: true}, From: r.q.From, To: r.q.To, Windows: 2, Counts: 1, Before: 7, After: 8, Number: 3,
	}, errors.Join(watch(replay.Counting, 1, 2), watch(replay.Counting, 2, 2), watch(correct.Storing, 1, 1), r.fail)
}

func (r *replayer) Compare(_ context.Context, q replay.Question, watch replay.Watch, each func(*correct.Diff) error) (replay.Report, error) {
	r.q, r.did = q, "compare"
	err := errors.Join(
		each(&correct.Diff{Start: q.From, Filter: click.FilterAll, Changes: []correct.Change{{Ad: []byte("a<"), Old: 1, New: 2}}, List: true, OldClicks: 7, Clicks: 8}),
		each(&correct.Diff{Start: q.From, Filter: "de", List: true, OldClicks: 7, Clicks: 7}))
	if err != nil {
		return replay.Report{}, err
	}
	return r.report(watch)
}

func (r *replayer) Run(_ context.Context, q replay.Question, watch replay.Watch) (replay.Report, error) {
	r.q, r.did = q, "run"
	return r.report(watch)
}

func (r *replayer) Resume(_ context.Context, by string, inexact bool, watch replay.Watch) (replay.Report, error) {
	if r.refuse != nil {
		return replay.Report{}, r.refuse
	}
	r.q, r.did = replay.Question{By: by, To: 60_000}, fmt.Sprint("resume ", inexact)
	return r.report(watch)
}

// ender ends a correction, with three lists.
type ender struct{ what, by string }

func (e *ender) EndAsStored(_ context.Context, what, by string, watch func(correct.Progress) error) (correct.Ended, error) {
	e.what, e.by = what, by
	at := noon.UnixMilli()
	return correct.Ended{From: at, To: at + 60_000, Lists: 3, Number: 2}, watch(correct.Progress{Phase: correct.Ordering, Done: 1, Total: 1})
}

// TestEndAsStored: what cannot be finished is ended without clicks, for replays and repairs alike, and the outcome says so.
func TestEndAsStored(t *testing.T) {
	t.Parallel()
	e := &ender{}
	s := makeServer(t, Config{Ender: e}, someClicks())
	run(t, s)
	const step = `{"progress":{"step":"holding ranked lists against the stored counts","done":1,"total":1}}` + "\n"
	for path, want := range map[string][2]string{
		"replays": {replay.What, `"windows":3,"counts":0,"stored":0,"clicks":0,"exact":false,"published":true,"correction":2,` +
			`"scanned":{"source":"","sources":0,"records":0,"clicks":0,"whole":false,"unsure":0,"crowded":0},"as_stored":true}}` + "\n"},
		"repairs": {reconcile.What, `"clean":false,"exact":false,"exact_until":"2019-11-24T12:00:00Z","counts":0,"stored":0,"records":0,"differences":0,"unexplained":0,"left_out":0,` +
			`"unknown_offsets":0,"causes":[],"scanned":{"source":"","sources":0,"records":0,"clicks":0,"whole":false,"unsure":0,"crowded":0},` +
			`"repaired":{"counts":0,"records":0,"as_stored":true,"lists":3}}}` + "\n"},
	} {
		at := s.URL() + "/v1/" + path
		got := ask(t, http.MethodPost, at+"?resume=true&as_stored=true", nil)
		if all := step + `{"outcome":{"start_time":"2019-11-24T12:00:00Z","to_time":"2019-11-24T12:01:00Z",` + want[1]; got.StatusCode != 200 || got.body != all || e.what != want[0] || !strings.HasPrefix(e.by, "somebody at") {
			t.Errorf("HTTP %d, %+v\n got %s\nwant %s", got.StatusCode, e, got.body, all)
		}
		for _, bad := range []string{"?as_stored=true", "?resume=true&as_stored=true&inexact=true", "?resume=true&as_stored=true&last=1h", "?resume=true&as_stored=1"} {
			if got := ask(t, http.MethodPost, at+bad, nil); got.StatusCode != 400 {
				t.Errorf("%s%s: HTTP %d %s", path, bad, got.StatusCode, got.body)
			}
		}
		checkProblem(t, ask(t, http.MethodPost, start(t, someClicks())+"/v1/"+path+"?resume=true&as_stored=true", nil), 404, "not_found")
	}
}

func startReplaying(t *testing.T, r *replayer) string {
	t.Helper()
	s := makeServer(t, Config{Replay: r}, someClicks())
	run(t, s)
	return s.URL()
}

const (
	replayed = "start_time=2019-11-24T11:00:00Z&to_time=2019-11-24T11:05:00Z"
	outcome  = `{"outcome":{"start_time":"2019-11-24T11:00:00Z","to_time":"2019-11-24T11:05:00Z","windows":2,"counts":1,"stored":7,"clicks":8,"exact":true,` +
		`"published":%v,"correction":3,"scanned":{"source":"raw store and archive","sources":2,"records":9,"clicks":8,"whole":true,"unsure":0,"crowded":0}}}` + "\n"
	steps = `{"progress":{"step":"counting","done":1,"total":2}}` + "\n" + `{"progress":{"step":"waiting for the store to show it","done":1,"total":1}}` + "\n"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	r := &replayer{}
	at := startReplaying(t, r)
	got := get(t, at+"/v1/replay?"+replayed+"&ad_id=b&ad_id=a&source=raw&late=true")
	want := `{"change":{"window_start":"2019-11-24T11:00:00Z","filter_identifier":"000","ad_id":"a<","stored":1,"count":2}}` + "\n" +
		`{"change":{"window_start":"2019-11-24T11:00:00Z","filter_identifier":"de","stored":7,"count":7}}` + "\n" + steps + fmt.Sprintf(outcome, false)
	if got.StatusCode != 200 || got.Header.Get("Content-Type") != mediaJSONLines || got.body != want || r.did != "compare" {
		t.Errorf("HTTP %d, %s\n got %s\nwant %s", got.StatusCode, r.did, got.body, want)
	}
	if fmt.Sprintf("%v %v %s %v %v %d", r.q.Ads, r.q.Filters, r.q.Source, r.q.Inexact, r.q.Late, (r.q.To-r.q.From)/60_000) != "[b a] [] raw false true 5" {
		t.Errorf("%+v", r.q)
	}
	got = ask(t, http.MethodPost, at+"/v1/replays?"+replayed+"&inexact=true&filter_identifier=000", nil)
	if got.body != steps+fmt.Sprintf(outcome, true) || r.did != "run" || !r.q.Inexact || r.q.Filters[0] != "000" || !strings.HasPrefix(r.q.By, "somebody at 127.0.0.1") {
		t.Errorf("%s: %s; %+v", r.did, got.body, r.q)
	}
	got = ask(t, http.MethodPost, at+"/v1/replays?resume=true", nil)
	if !strings.Contains(got.body, `"published":true`) || r.did != "resume false" {
		t.Errorf("%s: %s", r.did, got.body)
	}
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	r := &replayer{}
	at := startReplaying(t, r)
	foreign := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, c := range []struct {
		method, path string
		header       func(*http.Request)
		status       int
		says         string
	}{
		{http.MethodGet, "/v1/replays?" + replayed, nil, 405, "use POST"},
		{http.MethodPost, "/v1/replay?" + replayed, nil, 405, "use GET"},
		{http.MethodPost, "/v1/replays?" + replayed, foreign, 403, "another origin"},
		{http.MethodPost, "/v1/replays?" + replayed + "&resume=yes", nil, 400, "resume is"},
		{http.MethodPost, "/v1/replays?" + replayed + "&inexact=1", nil, 400, "inexact is"},
		{http.MethodPost, "/v1/replays?" + replayed + "&resume=true", nil, 400, "what is resumed"},
		{http.MethodGet, "/v1/replay?" + replayed + "&source=tape", nil, 400, "raw, archive, kafka"},
		{http.MethodGet, "/v1/replay?" + replayed + "&filter_identifier=nosuch", nil, 400, "nosuch"},
		{http.MethodGet, "/v1/replay?start_time=x", nil, 400, "x"},
	} {
		got := ask(t, c.method, at+c.path, c.header)
		if got.StatusCode != c.status || !strings.Contains(got.body, c.says) || r.did != "" {
			t.Errorf("%s %s: HTTP %d %s, %q", c.method, c.path, got.StatusCode, got.body, r.did)
		}
	}
	none := start(t, someClicks())
	for method, path := range map[string]string{http.MethodGet: "/v1/replay?" + replayed, http.MethodPost: "/v1/replays?resume=true"} {
		if got := ask(t, method, none+path, nil); got.StatusCode != 404 {
			t.Errorf("a process without clicks: HTTP %d %s", got.StatusCode, got.body)
		}
	}
}

// TestReplayProblems: what goes wrong after the answer has begun is its last line.
func TestReplayProblems(t *testing.T) {
	t.Parallel()
	busy := &correct.Busy{Other: control.Correction{What: "reconcile", By: "me", Since: noon.Add(-time.Hour).UnixMilli()}}
	for err, word := range map[error]string{
		fmt.Errorf("x: %w", busy):                            "correction_unfinished",
		&replay.Inexact{Recount: recount.Report{Sources: 1}}: "not_exact",
		fmt.Errorf("until then: %w", replay.ErrRange):        "bad_range", recount.ErrLate: "bad_range",
		recount.ErrSource: "bad_source", errors.New("secret"): "internal",
	} {
		at := startReplaying(t, &replayer{fail: err})
		got := ask(t, http.MethodPost, at+"/v1/replays?"+replayed, nil)
		last := got.body[strings.LastIndex(strings.TrimSuffix(got.body, "\n"), "\n")+1:]
		if !strings.HasPrefix(last, `{"problem":{`) || !strings.Contains(last, "#"+word+`"`) || strings.Contains(last, "secret") || !strings.Contains(last, "request_id") {
			t.Errorf("%v: %s", err, last)
		}
	}
	at := startReplaying(t, &replayer{refuse: correct.ErrNone})
	checkProblem(t, ask(t, http.MethodPost, at+"/v1/replays?resume=true", nil), 409, "correction_unfinished") // nothing was said before
	for _, err := range []error{correct.ErrNone, correct.ErrTaken, correct.ErrStuck, correct.ErrOther} {
		if p := problemOf(stepProblem(err)); p.word() != "correction_unfinished" || p.Status != 409 {
			t.Errorf("%v: %+v", err, p)
		}
	}
}
