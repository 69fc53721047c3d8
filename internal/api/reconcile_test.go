package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/correct"
	"github.com/clickagg/clickagg/internal/reconcile"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
)

// reconciler finds the same in every range.
type reconciler struct {
	asked  reconcile.Question
	fail   error
	inside func(context.Context) // runs in the middle

	by      string
	resumed bool
	refuse  error // of Repair, once it has begun
}

func (r *reconciler) Run(ctx context.Context, q reconcile.Question, watch func(s reconcile.Step, done, total int64) error,
	each func(*reconcile.Difference) error,
) (reconcile.Report, error) {
	r.asked = q
	if r.inside != nil {
		r.inside(ctx)
	}
	if r.fail != nil {
		return reconcile.Report{}, r.fail
	}
	report := reconcile.Report{
		From: q.From, To: q.From + 60_000, ExactUntil: q.From, Rows: 9, Stored: 8, Raw: 7, Differences: 3, Unexplained: 2, Unknown: 1,
		Recount: recount.Report{Input: 1, Sources: 2, Records: 9, Clicks: 8, Whole: true},
		Causes:  map[cause.Cause]reconcile.Size{cause.MissingRaw: {Differences: 1, Clicks: 1}, cause.Late: {Differences: 1, Clicks: 2}},
	}
	return report, errors.Join(
		watch(reconcile.Comparing, 1, 2), watch(reconcile.Causes, 2, 2),
		each(&reconcile.Difference{
			Kind: reconcile.Count, Start: q.From, Filter: "000", Ad: "a<b",
			Row:   cause.Row{Stored: click.Sum{Count: 3, Digest: 0xab}, Raw: click.Sum{Count: 2, Digest: 1}, Late: click.Sum{Count: 1, Digest: 2}},
			Parts: []cause.Part{{Cause: cause.MissingRaw, Clicks: 1, Where: []string{"clicks/0/17"}}, {Cause: cause.Late, Clicks: 1}},
		}),
		each(&reconcile.Difference{Kind: reconcile.List, Start: q.From, Filter: "000/1h", Parts: []cause.Part{{Cause: cause.WrongList}}}),
		each(&reconcile.Difference{Kind: reconcile.Record, Start: q.From + 5, Where: "clicks/0/9", Parts: []cause.Part{{Cause: cause.MissingRaw, Clicks: 1, Where: []string{"clicks/0/9"}}}}))
}

// Repair repairs what Run finds.
func (r *reconciler) Repair(ctx context.Context, q reconcile.Question, by string, resume bool, watch func(s reconcile.Step, done, total int64) error,
	each func(*reconcile.Difference) error,
) (reconcile.Repaired, reconcile.Report, error) {
	r.by, r.resumed = by, resume
	if r.refuse != nil {
		return reconcile.Repaired{}, reconcile.Report{}, errors.Join(watch(reconcile.Repairing, 0, 1), r.refuse)
	}
	report, err := r.Run(ctx, q, watch, each)
	return reconcile.Repaired{Counts: 4, Records: 1}, report, err
}

func startReconciling(t *testing.T, r *reconciler) string {
	t.Helper()
	s := makeServer(t, Config{Stored: r}, someClicks())
	run(t, s)
	return s.URL()
}

const reconciled = "/v1/reconcile?start_time=2019-11-24T11:00:00Z&to_time=2019-11-24T12:00:00Z"

func TestReconcile(t *testing.T) {
	t.Parallel()
	r := &reconciler{}
	got := get(t, startReconciling(t, r)+reconciled+"&source=raw")
	want := `{"progress":{"step":"comparing","done":1,"total":2}}
{"progress":{"step":"looking for causes","done":2,"total":2}}
{"difference":{"kind":"count","time":"2019-11-24T11:00:00Z","filter":"000","ad_id":"a<b","stored":3,"records":2,"late":1,` +
		`"digests":{"stored":"00000000000000ab","records":"0000000000000001","late":"0000000000000002"},` +
		`"causes":[{"cause":"missing_from_raw","clicks":1,"records":["clicks/0/17"]},{"cause":"late","clicks":1}],"explained":false}}
{"difference":{"kind":"list","time":"2019-11-24T11:00:00Z","filter":"000/1h","stored":0,"records":0,"late":0,"causes":[{"cause":"wrong_list","clicks":0}],"explained":false}}
{"difference":{"kind":"record","time":"2019-11-24T11:00:00.005Z","stored":0,"records":0,"late":0,"causes":[{"cause":"missing_from_raw","clicks":1,"records":["clicks/0/9"]}],"explained":false}}
{"outcome":{"start_time":"2019-11-24T11:00:00Z","to_time":"2019-11-24T11:01:00Z","clean":false,"exact":false,"exact_until":"2019-11-24T11:00:00Z",` +
		`"counts":9,"stored":8,"records":7,"differences":3,"unexplained":2,"left_out":0,"unknown_offsets":1,` +
		`"causes":[{"cause":"late","differences":1,"clicks":2,"explained":true},{"cause":"missing_from_raw","differences":1,"clicks":1,"explained":false}],` +
		`"scanned":{"source":"raw store and archive","sources":2,"records":9,"clicks":8,"whole":true,"unsure":0,"crowded":0}}}
`
	if got.StatusCode != 200 || got.Header.Get("Content-Type") != "application/x-ndjson" || got.body != want {
		t.Errorf("HTTP %d\n got %s\nwant %s", got.StatusCode, got.body, want)
	}
	if r.asked.Source != "raw" || r.asked.To-r.asked.From != 3_600_000 {
		t.Errorf("%+v", r.asked)
	}
	if head := ask(t, http.MethodHead, startReconciling(t, r)+reconciled, nil); head.StatusCode != 200 || head.body != "" {
		t.Errorf("HEAD: %d %s", head.StatusCode, head.body)
	}
}

func TestReconcileRefused(t *testing.T) {
	t.Parallel()
	at := startReconciling(t, &reconciler{})
	checkProblem(t, get(t, at+reconciled+"&source=file"), 400, "bad_source")
	checkProblem(t, get(t, at+reconciled+"&filter_identifier=000"), 400, "unknown_parameter")
	checkProblem(t, get(t, start(t, someClicks())+reconciled), 404, "not_found")
	for word, err := range map[string]error{"bad_source": recount.ErrSource, "bad_range": recount.ErrLate} {
		checkProblem(t, get(t, startReconciling(t, &reconciler{fail: err})+reconciled), 400, word)
	}
	if r := get(t, startReconciling(t, &reconciler{fail: io.ErrUnexpectedEOF})+reconciled); r.StatusCode != 500 {
		t.Errorf("HTTP %d %s", r.StatusCode, r.body)
	}
}

// TestReconcileOneAtATime: it keeps out others that read all clicks.
func TestReconcileOneAtATime(t *testing.T) {
	t.Parallel()
	r := &reconciler{}
	at := startReconciling(t, r)
	r.inside = func(context.Context) {
		r.inside = nil
		checkProblem(t, get(t, at+reconciled), 503, "too_many_questions")
	}
	var last ReconcileLine
	lines := strings.Split(strings.TrimSpace(get(t, at+reconciled).body), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Outcome == nil || last.Outcome.Differences != 3 {
		t.Errorf("%v %q", err, lines)
	}
}

func TestRepair(t *testing.T) {
	t.Parallel()
	r := &reconciler{}
	at := startReconciling(t, r)
	path := strings.Replace(reconciled, "reconcile", "repairs", 1)
	got := ask(t, http.MethodPost, at+path+"&source=kafka", nil)
	if got.StatusCode != 200 || strings.Count(got.body, `{"difference":`) != 3 || !strings.HasSuffix(got.body, `"repaired":{"counts":4,"records":1}}}`+"\n") {
		t.Errorf("HTTP %d %s", got.StatusCode, got.body)
	}
	if !strings.HasPrefix(r.by, "somebody at 127.0.0.1") || r.resumed || r.asked.Source != "kafka" {
		t.Errorf("%+v", r)
	}
	if got = ask(t, http.MethodPost, at+"/v1/repairs?resume=true", nil); got.StatusCode != 200 || !r.resumed {
		t.Errorf("HTTP %d %s", got.StatusCode, got.body)
	}
	for path, status := range map[string]int{reconciled: 405, "/v1/repairs?resume=maybe": 400, path + "&resume=true": 400, path + "&source=tape": 400} {
		if got = ask(t, http.MethodPost, at+path, nil); got.StatusCode != status {
			t.Errorf("%s: HTTP %d %s", path, got.StatusCode, got.body)
		}
	}
	if got = ask(t, http.MethodPost, at+path, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); got.StatusCode != 403 {
		t.Errorf("HTTP %d %s", got.StatusCode, got.body)
	}
	if got = ask(t, http.MethodPost, start(t, someClicks())+"/v1/repairs?resume=true", nil); got.StatusCode != 404 {
		t.Errorf("HTTP %d %s", got.StatusCode, got.body)
	}
}

// TestRepairProblems: what goes wrong after the answer has begun is its last line.
func TestRepairProblems(t *testing.T) {
	t.Parallel()
	for err, word := range map[error]string{
		reconcile.ErrInexact: "not_exact", correct.ErrNone: "correction_unfinished", &correct.Busy{}: "correction_unfinished",
		correct.ErrOther: "correction_unfinished", io.ErrUnexpectedEOF: "internal",
	} {
		got := ask(t, http.MethodPost, startReconciling(t, &reconciler{refuse: err})+"/v1/repairs?resume=true", nil)
		if lines := strings.Split(got.body, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], `{"problem":{`) || !strings.Contains(lines[1], "#"+word+`"`) {
			t.Errorf("%v: %s", err, got.body)
		}
	}
}
