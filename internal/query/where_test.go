package query

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

func TestWhere(t *testing.T) {
	t.Parallel()
	answer := api.Clicks{
		Where: "true", Count: 1234, Ads: []api.AdCount{{AdID: "a\x1b", Count: 1200}, {AdID: "b", Count: 1}}, AdsCounted: 17, Exact: true,
		StartTime: noon.Add(-5 * time.Minute), ToTime: noon, Status: api.Final,
		Scanned: api.Scanned{Source: "input topics", Sources: 4, Records: 2000, Clicks: 1500, Whole: true},
	}
	const head = "CLICKS  AD\n 1,200  a\uFFFD\n     1  b\n1,234 clicks of 17 ads, 2019-11-24T11:55:00Z to 2019-11-24T12:00:00Z, final\ncounted from 2,000 records in 4 partitions of the input topics: "
	for _, test := range []struct {
		output string
		change func(*api.Clicks)
		want   string
	}{
		{"", func(*api.Clicks) {}, head + "exact\n"},
		{Table, func(a *api.Clicks) { a.Exact, a.Scanned.Whole = false, false }, head + "not exact, records of this range, or before it, are not kept any more\n"},
		{Table, func(a *api.Clicks) { a.Exact, a.Scanned.Unsure = false, 1 }, head + "exact but for 1 click of which it is not known whether they came too late\n"},
		{Table, func(a *api.Clicks) { a.Exact, a.Scanned.Crowded = false, 2 }, head + "not exact, 2 clicks found no room (aggregator.max_ids, aggregator.max_ads)\n"},
		{CSV, func(*api.Clicks) {}, "ad_id,count\na\x1b,1200\nb,1\n"},
		{Table, func(a *api.Clicks) { a.Ads, a.Count, a.AdsCounted = nil, 1, 1 },
			"1 click of 1 ad, 2019-11-24T11:55:00Z to 2019-11-24T12:00:00Z, final\ncounted from 2,000 records in 4 partitions of the input topics: exact\n"},
	} {
		a := answer
		test.change(&a)
		c, _ := say(t, 200, api.ClicksLine{Answer: &a})
		var b bytes.Buffer
		err := Where(t.Context(), c, WhereOptions{Question: client.ClicksQuestion{Where: "true"}, Output: test.output}, &b)
		check(t, b.String(), err, test.want)
	}
	c, asked := say(t, 400, api.Problem{Title: "t", Detail: "line 1, column 1: no", Parameter: "where", Status: 400})
	err := Where(t.Context(), c, WhereOptions{Question: client.ClicksQuestion{Where: "x", N: 4}, Output: JSON}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "--where: line 1, column 1: no") || *asked != "/v1/clicks/count?n=4&where=x" {
		t.Errorf("%v, asked %s", err, *asked)
	}
}

// TestWhereProgress: how far it is is shown as soon as the API says so, and the end as well.
func TestWhereProgress(t *testing.T) {
	t.Parallel()
	c := stream(t, api.Final, `{"progress":{"done":9,"total":9}}`+"\n"+`{"answer":{"count":1}}`+"\n", true)
	var shown bytes.Buffer
	var total int64
	err := Where(t.Context(), c, WhereOptions{Output: CSV, Progress: func(n int64) *progress.Bar {
		total = n
		return progress.Start(&shown, false, n, "records")
	}}, &bytes.Buffer{})
	if err != nil || total != 9 || !strings.HasPrefix(shown.String(), "9 records") {
		t.Errorf("%v, of %d: %s", err, total, shown.String())
	}
}
