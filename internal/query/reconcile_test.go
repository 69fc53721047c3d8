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
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
)

// reconciles is an API that answers in lines.
func reconciles(t *testing.T, lines ...api.ReconcileLine) *client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/v1/reconcile?last=1h&source=raw" {
			t.Errorf("asked %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, l := range lines {
			_ = json.NewEncoder(w).Encode(l)
		}
	}))
	c, err := client.New(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c
}

// someDifferences is an answer with two differences, and one that was left out.
func someDifferences() []api.ReconcileLine {
	return []api.ReconcileLine{
		{Progress: &api.StepProgress{Step: "comparing", Progress: api.Progress{Done: 1, Total: 9}}},
		{Progress: &api.StepProgress{Step: "comparing copies"}},
		{Progress: &api.StepProgress{Step: "looking", Progress: api.Progress{Done: 4, Total: 8}}},
		{Difference: &api.Difference{
			Kind: "count", Time: noon.Add(-time.Hour), Filter: "000", Ad: "a\x1b", Stored: 1000, Records: 999, Late: 3,
			Causes: []cause.Part{{Cause: cause.Duplicate, Clicks: 1, Where: []string{"clicks/0/7"}}, {Cause: cause.Late, Clicks: 3}},
		}},
		{Difference: &api.Difference{Kind: "list", Time: noon, Filter: "000/1h", Causes: []cause.Part{{Cause: cause.WrongList}}}},
		{Outcome: &api.Reconciliation{
			StartTime: noon.Add(-time.Hour), ToTime: noon, ExactUntil: noon.Add(-time.Minute), Exact: true,
			Counts: 12345, Stored: 2000, Records: 1999, Differences: 3, Unexplained: 3, LeftOut: 1,
			Causes:  []api.CauseTotal{{Cause: "late", Differences: 1, Clicks: 3, Explained: true}, {Cause: "duplicate", Differences: 1, Clicks: 1}},
			Scanned: api.Scanned{Source: "raw store", Sources: 2, Records: 5000, Whole: true},
		}},
	}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	c := reconciles(t, someDifferences()...)
	const end = `2019-11-24T11:00:00Z to 2019-11-24T12:00:00Z: 12,345 counts compared, 2,000 clicks stored, 1,999 by the records
· late: 1 difference, 3 clicks
✗ duplicate: 1 difference, 1 click
✗ right until 2019-11-24T11:59:00Z
counted from 5,000 records in 2 partitions of the raw store: exact
`
	for _, o := range []struct {
		output string
		limit  int
		want   string
	}{
		{Table, 50, `TIME                  FILTER  AD  STORED  CLICKS  LATE  CAUSES
2019-11-24T11:00:00Z  000     a�   1,000     999     3  duplicate 1 (clicks/0/7), late 3
2019-11-24T12:00:00Z  000/1h           0       0     0  wrong_list
… and 1 more
` + end},
		{Table, 1, `TIME                  FILTER  AD  STORED  CLICKS  LATE  CAUSES
2019-11-24T11:00:00Z  000     a�   1,000     999     3  duplicate 1 (clicks/0/7), late 3
… and 2 more
` + end},
		{CSV, 1, "kind,time,filter,ad_id,stored,records,late,cause,clicks,explained\n" +
			"count,2019-11-24T11:00:00Z,000,a\x1b,1000,999,3,duplicate,1,false\ncount,2019-11-24T11:00:00Z,000,a\x1b,1000,999,3,late,3,true\n" +
			"list,2019-11-24T12:00:00Z,000/1h,,0,0,0,wrong_list,0,false\n"},
	} {
		var page, shown bytes.Buffer
		var steps []string
		err := Reconcile(t.Context(), c, ReconcileOptions{
			Range: client.Range{Last: "1h"}, Source: "raw", Output: o.output, Limit: o.limit,
			Progress: func(step string, total int64) *progress.Bar {
				steps = append(steps, fmt.Sprint(step, " ", total))
				return progress.Start(&shown, false, total, "offsets")
			},
		}, &page)
		if !errors.Is(err, ErrDifferences) || page.String() != o.want {
			t.Errorf("%v\n%s\nwant\n%s", err, page.String(), o.want)
		}
		if fmt.Sprint(steps) != "[comparing 9 looking 8]" || !strings.Contains(shown.String(), "1 offsets") {
			t.Errorf("%q, shown %q", steps, shown.String())
		}
	}
	if err := Reconcile(t.Context(), c, ReconcileOptions{Range: client.Range{Last: "1h"}, Limit: -1}, io.Discard); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
	var b bytes.Buffer
	var got struct {
		Unexplained int               `json:"unexplained"`
		All         []*api.Difference `json:"all_differences"`
	}
	err := Reconcile(t.Context(), c, ReconcileOptions{Range: client.Range{Last: "1h"}, Source: "raw", Output: JSON}, &b)
	if !errors.Is(err, ErrDifferences) || json.Unmarshal(b.Bytes(), &got) != nil || got.Unexplained != 3 || len(got.All) != 2 || got.All[0].Causes[0].Cause != cause.Duplicate {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// TestReconcileVerdict: each outcome says what it is worth.
func TestReconcileVerdict(t *testing.T) {
	t.Parallel()
	fine := api.Reconciliation{
		StartTime: noon.Add(-time.Hour), ToTime: noon, ExactUntil: noon, Clean: true, Exact: true,
		Scanned: api.Scanned{Source: "input topics", Sources: 1, Records: 1, Whole: true},
	}
	for name, c := range map[string]struct {
		change func(*api.Reconciliation)
		want   string
		fails  bool
	}{
		"fine":        {func(*api.Reconciliation) {}, "✓ every count, list, hour and day is what the clicks come to\ncounted from 1 record in 1 partition of the input topics: exact\n", false},
		"late only":   {func(r *api.Reconciliation) { r.Differences = 1 }, "✓ nothing is wrong\n", false},
		"too early":   {func(r *api.Reconciliation) { r.ToTime, r.Clean = r.StartTime, false }, "no minute of the range is closed for good yet", true},
		"not whole":   {func(r *api.Reconciliation) { r.Clean, r.Exact, r.Scanned.Whole = false, false, false }, "not everything is known\ncounted from 1 record in 1 partition of the input topics: not exact, records of", true},
		"holes":       {func(r *api.Reconciliation) { r.Clean, r.Exact, r.Unknown = false, false, 1200 }, ": exact, but for 1,200 offsets", true},
		"sources lag": {func(r *api.Reconciliation) { r.Clean, r.Exact = false, false }, "sources that are behind", true},
	} {
		r := fine
		c.change(&r)
		var b bytes.Buffer
		err := Reconcile(t.Context(), reconciles(t, api.ReconcileLine{Outcome: &r}), ReconcileOptions{Range: client.Range{Last: "1h"}, Source: "raw"}, &b)
		if errors.Is(err, ErrDifferences) != c.fails || !strings.Contains(b.String(), c.want) {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
	}
}

func TestReconcileThatBreaksOff(t *testing.T) {
	t.Parallel()
	c := reconciles(t, someDifferences()[:3]...)
	var b bytes.Buffer
	o := ReconcileOptions{Range: client.Range{Last: "1h"}, Source: "raw"}
	if err := Reconcile(t.Context(), c, o, &b); !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "broke off") || b.Len() > 0 {
		t.Errorf("%v, printed %q", err, b.String())
	}
	o.Output = "xml"
	if err := Reconcile(t.Context(), c, o, io.Discard); !errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
	for _, with := range []ReconcileOptions{{Repair: true}, {Source: "raw"}, {Range: client.Range{From: "-1h"}}} {
		with.Resume = true
		if err := Reconcile(t.Context(), c, with, io.Discard); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: %v", with, err)
		}
	}
}
