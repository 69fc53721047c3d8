package api

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/recount"
)

// recounter says of every range that two ads have clicks.
type recounter struct {
	span   recount.Range
	where  string
	inside func(context.Context) error // runs in the middle
	behind bool
}

func (r *recounter) FieldTypes() filter.Types { return filter.Types{"campaign": filter.Int} }

func (r *recounter) Count(ctx context.Context, span recount.Range, set *filter.Set,
	watch func(done, total int64) error, sink func(*recount.Window) error,
) (recount.Report, error) {
	r.span, r.where = span, set.Definitions()[0].Where
	report := recount.Report{Input: 1, Sources: 2, Records: 9, Clicks: 8, Whole: true, Unsure: 3, Behind: r.behind}
	id := set.IDs()[0]
	for i, w := range []recount.Window{
		{Filter: click.FilterAll, Rows: []click.Row{{Ad: []byte("a"), Count: 100}}},
		{Filter: id, Rows: []click.Row{{Ad: []byte("a"), Count: 2}, {Ad: []byte("b"), Count: 3}}},
		{Filter: id, Rows: []click.Row{{Ad: []byte("a"), Count: 4}, {Ad: []byte("c"), Count: 3}}},
	} {
		if err := errors.Join(sink(&w), watch(int64(i), 2)); err != nil {
			return report, err
		}
		if i == 1 && r.inside != nil {
			if err := r.inside(ctx); err != nil {
				return report, err
			}
		}
	}
	return report, nil
}

// startRecounting starts a server that answers from clicks.
func startRecounting(t *testing.T, r *recounter) string {
	t.Helper()
	s := makeServer(t, Config{Clicks: r}, someClicks())
	run(t, s)
	return s.URL()
}

func TestClicks(t *testing.T) {
	t.Parallel()
	r := &recounter{}
	at := startRecounting(t, r)
	const frame = `"start_time":"2019-11-24T11:55:00Z","to_time":"2019-11-24T12:00:00Z","status":"provisional","complete_until":"2019-11-24T11:59:00Z",` +
		`"scanned":{"source":"raw store and archive","sources":2,"records":9,"clicks":8,"whole":true,"unsure":3,"crowded":0}}}`
	where := "where=" + url.QueryEscape(`country == "KR" && campaign > 3`) + "&last=5m"
	for query, ads := range map[string]string{
		where:                      `[{"ad_id":"a","count":6},{"ad_id":"b","count":3},{"ad_id":"c","count":3}]`,
		where + "&n=2":             `[{"ad_id":"a","count":6},{"ad_id":"b","count":3}]`,
		where + "&ad_id=x&ad_id=c": `[{"ad_id":"x","count":0},{"ad_id":"c","count":3}]`,
	} {
		got := get(t, at+"/v1/clicks/count?"+query)
		want := `{"progress":{"done":2,"total":2}}` + "\n" +
			`{"answer":{"where":"country == \"KR\" && campaign > 3","count":12,"ads":` + ads + `,"ads_counted":3,"exact":false,` + frame + "\n"
		if got.StatusCode != 200 || got.Header.Get("Content-Type") != "application/x-ndjson" || got.body != want {
			t.Errorf("%s: HTTP %d\n got %s\nwant %s", query, got.StatusCode, got.body, want)
		}
	}
	if r.span.To-r.span.From != 300_000 || !strings.Contains(r.where, "KR") {
		t.Errorf("asked for %v %s", r.span, r.where)
	}
	if head := ask(t, http.MethodHead, at+"/v1/clicks/count?"+where, nil); head.StatusCode != 200 || head.body != "" {
		t.Errorf("HEAD: %d %s", head.StatusCode, head.body)
	}
}

// TestClicksStatus: an answer is final when its minutes are, and what it was counted from had all of them.
func TestClicksStatus(t *testing.T) {
	t.Parallel()
	for behind, status := range map[bool]string{false: Final, true: Provisional} {
		at := startRecounting(t, &recounter{behind: behind})
		got := get(t, at+"/v1/clicks/count?where=true&start_time=2019-11-24T11:55:00Z&to_time=2019-11-24T11:59:00Z")
		if !strings.Contains(got.body, `"status":"`+status+`"`) {
			t.Errorf("behind %v: %s", behind, got.body)
		}
	}
}

func TestClicksRefused(t *testing.T) {
	t.Parallel()
	at := startRecounting(t, &recounter{})
	for query, want := range map[string]string{
		"":                             `bad_where","title":"Predicate cannot be used","status":400,"detail":"line 1, column 1: the predicate is empty","parameter":"where"`,
		"where=true+%26%26%0A+contry":  `line 2, column 2: there is no field contry; is country meant?`,
		"where=true&n=0":               `bad_number`,
		"where=true&n=3&ad_id=a":       `n says how many of the ads`,
		"where=true&ad_id=":            `bad_ad_id`,
		"where=true&last=1s":           `bad_range`,
		"where=true&filter_identifier": `unknown_parameter`,
	} {
		if r := get(t, at+"/v1/clicks/count?"+query); r.StatusCode != 400 || !strings.Contains(r.body, want) {
			t.Errorf("%s: HTTP %d %s", query, r.StatusCode, r.body)
		}
	}
	if r := get(t, start(t, someClicks())+"/v1/clicks/count?where=true"); r.StatusCode != 404 {
		t.Errorf("without clicks: HTTP %d %s", r.StatusCode, r.body)
	}
}

// TestClicksOneAtATime: a question that reads clicks keeps others out until it ends, also by
// its client's leave; what breaks off has no answer.
func TestClicksOneAtATime(t *testing.T) {
	t.Parallel()
	begun, fail := make(chan struct{}), errors.New("disk")
	r := &recounter{inside: func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return errors.Join(fail, ctx.Err())
	}}
	at := startRecounting(t, r)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan string)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/v1/clicks/count?where=true", http.NoBody)
		if err != nil {
			t.Error(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			ended <- err.Error()
			return
		}
		defer resp.Body.Close()
		text := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			text += lines.Text()
		}
		ended <- text
	}()
	<-begun
	if r := get(t, at+"/v1/clicks/count?where=true"); r.StatusCode != 503 || !strings.Contains(r.body, "too_many_questions") {
		t.Errorf("a second: HTTP %d %s", r.StatusCode, r.body)
	}
	leave()
	if text := <-ended; strings.Contains(text, "answer\"") {
		t.Errorf("after leaving: %s", text)
	}
	r.inside = func(context.Context) error { return fail }
	for { // the first may still be on its way out
		if r := get(t, at+"/v1/clicks/count?where=true"); r.StatusCode != 503 {
			if r.StatusCode != 500 || !strings.Contains(r.body, `"internal"`) && !strings.Contains(r.body, "#internal") {
				t.Errorf("a failure before anything was said: HTTP %d %s", r.StatusCode, r.body)
			}
			break
		}
	}
}
