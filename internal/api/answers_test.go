package api

import (
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

// answers are what is asked of someClicks, and what is said.
var answers = []struct{ path, want string }{
	{
		"/v1/ads/a/aggregated_count?last=4m",
		`{"ad_id":"a","count":6,"start_time":"2019-11-24T11:56:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":2}`,
	},
	{ // final when the whole windows are, whatever else was asked for
		"/v1/ads/a/aggregated_count?start_time=2019-11-24T11:57:59Z&to_time=2019-11-24T11:59:59.999Z",
		`{"ad_id":"a","count":6,"start_time":"2019-11-24T11:57:00Z","to_time":"2019-11-24T11:59:00Z",` +
			`"filter_identifier":"000","status":"final","complete_until":"2019-11-24T11:59:00Z","revision":2}`,
	},
	{ // the default is the last whole minute
		"/v1/ads/tie/aggregated_count",
		`{"ad_id":"tie","count":2,"start_time":"2019-11-24T11:59:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":3}`,
	},
	{ // %2F is part of the id
		"/v1/ads/b%2Fc%20d/aggregated_count?last=1h&filter_identifier=000",
		`{"ad_id":"b/c d","count":2,"start_time":"2019-11-24T11:00:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":1}`,
	},
	{ // an id that looks like a path, and one that nobody clicked
		"/v1/ads/%2E%2E/aggregated_count?start_time=1574596500&to_time=1574596560000",
		`{"ad_id":"..","count":0,"start_time":"2019-11-24T11:55:00Z","to_time":"2019-11-24T11:56:00Z",` +
			`"filter_identifier":"000","status":"final","complete_until":"2019-11-24T11:59:00Z","revision":0}`,
	},
	{
		"/v1/ads/top_clicked_ads?last=10m&n=3",
		`{"ad_ids":["q\"uo,te","a","b/c d"],"ads":[{"ad_id":"q\"uo,te","count":9},{"ad_id":"a","count":6},{"ad_id":"b/c d","count":2}],` +
			`"exact":true,"start_time":"2019-11-24T11:50:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":4}`,
	},
	{
		"/v1/ads/top_clicked_ads?start_time=-1d&to_time=-23h",
		`{"ad_ids":[],"ads":[],"exact":true,"start_time":"2019-11-23T12:00:00Z","to_time":"2019-11-23T13:00:00Z",` +
			`"filter_identifier":"000","status":"final","complete_until":"2019-11-24T11:59:00Z","revision":0}`,
	},
	{
		"/v1/ads/top_clicked_ads/aggregated_count?last=1m",
		`{"ad_id":"top_clicked_ads","count":0,"start_time":"2019-11-24T11:59:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":0}`,
	},
	{ // of the window the moment lies in
		"/v1/lineage?start_time=2019-11-24T11:58:59Z",
		`{"start_time":"2019-11-24T11:58:00Z","to_time":"2019-11-24T11:59:00Z","state":"final","version":812,"reducer":1,"reducers":2,` +
			`"shards":[{"shard":0,"position":7},{"shard":1,"position":9}],"sources":[` +
			`{"topic_id":"01000000000000000000000000000000","heard":12,"settled":10,"source":"clicks/3","received":9,"marks":1,"late":1,` +
			`"rejected":0,"counted":3,"duplicate":1,"conflict":1,"crowded":1,"stale":1,"pending":0,"holds":true},` +
			`{"topic_id":"00000000000000000000000000000000","heard":0,"settled":0,"source":"clicks/4","received":1,"marks":0,"late":0,` +
			`"rejected":0,"counted":0,"duplicate":0,"conflict":0,"crowded":0,"stale":0,"pending":0,"holds":false}],"holds":false}`,
	},
	{ // steps are cut to the range, and those without a click are left out
		"/v1/ads/a/aggregated_count?start_time=2019-11-24T11:50:00Z&to_time=2019-11-24T12:00:00Z&granularity=1m",
		`{"ad_id":"a","count":6,"start_time":"2019-11-24T11:50:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":2,"granularity":"1m","series":[` +
			`{"start_time":"2019-11-24T11:57:00Z","to_time":"2019-11-24T11:58:00Z","count":5,"status":"final","revision":1},` +
			`{"start_time":"2019-11-24T11:58:00Z","to_time":"2019-11-24T11:59:00Z","count":1,"status":"final","revision":2}]}`,
	},
	{
		"/v1/ads/tie/aggregated_count?start_time=2019-11-24T11:50:00Z&to_time=2019-11-24T12:00:00Z&granularity=1d",
		`{"ad_id":"tie","count":2,"start_time":"2019-11-24T11:50:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":3,"granularity":"1d","series":[` +
			`{"start_time":"2019-11-24T11:50:00Z","to_time":"2019-11-24T12:00:00Z","count":2,"status":"provisional","revision":3}]}`,
	},
	{
		"/v1/ads/nobody/aggregated_count?last=1m&granularity=1h",
		`{"ad_id":"nobody","count":0,"start_time":"2019-11-24T11:59:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":0,"granularity":"1h","series":[]}`,
	},
	{ // as they were asked for; the revision is 1 and the 3 corrections of all ads
		"/v1/ads/counts?ad_id=tie&ad_id=a&ad_id=b/c+d&ad_id=nobody&last=10m",
		`{"ads":[{"ad_id":"tie","count":2,"status":"provisional","revision":3},{"ad_id":"a","count":6,"status":"provisional","revision":2},` +
			`{"ad_id":"b/c d","count":2,"status":"provisional","revision":1},{"ad_id":"nobody","count":0,"status":"provisional","revision":0}],` +
			`"start_time":"2019-11-24T11:50:00Z","to_time":"2019-11-24T12:00:00Z",` +
			`"filter_identifier":"000","status":"provisional","complete_until":"2019-11-24T11:59:00Z","revision":4}`,
	},
	{"/v1/ads", `{"ad_ids":["a","b/c d","q\"uo,te","tie"]}`},
	{"/v1/ads?prefix=b%2F&limit=100", `{"ad_ids":["b/c d"]}`},
	{"/v1/ads?limit=1&prefix=", `{"ad_ids":["q\"uo,te"]}`}, // the newest window has one
	{"/v1/ads?prefix=zz", `{"ad_ids":[]}`},
	{"/livez", `{"live":true}`},
	{"/readyz", `{"ready":true,"not_ready":[]}`},
	{"/v1/status", `{"at":"2019-11-24T12:00:00Z","complete_until":"2019-11-24T11:59:00Z","roles":[],"accounting":[],"rejected":{},"hot":[]}`},
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	for _, test := range answers {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			r := get(t, at+test.path)
			if r.StatusCode != 200 || strings.TrimSpace(r.body) != test.want {
				t.Errorf("HTTP %d\n got %s\nwant %s", r.StatusCode, r.body, test.want)
			}
			if got := r.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
			checkSafe(t, r)
		})
	}
}

// TestDaysAreOfTheServersZone: where it is midnight at 11:58 UTC, a day ends there.
func TestDaysAreOfTheServersZone(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Zone: time.FixedZone("", -(11*60+58)*60)}, someClicks())
	run(t, s)
	r := get(t, s.URL()+"/v1/ads/a/aggregated_count?start_time=2019-11-24T11:50:00Z&to_time=2019-11-24T12:00:00Z&granularity=1d")
	want := `"series":[{"start_time":"2019-11-24T11:50:00Z","to_time":"2019-11-24T11:58:00Z","count":5,"status":"final","revision":1},` +
		`{"start_time":"2019-11-24T11:58:00Z","to_time":"2019-11-24T12:00:00Z","count":1,"status":"provisional","revision":2}]}`
	if !strings.HasSuffix(strings.TrimSpace(r.body), want) {
		t.Errorf("HTTP %d %s\nwant %s", r.StatusCode, r.body, want)
	}
}

func TestNothingIsCompleteYet(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.complete = click.None
	r := get(t, start(t, f)+"/v1/ads/a/aggregated_count")
	if !strings.Contains(r.body, `"status":"provisional","complete_until":null`) {
		t.Error(r.body)
	}
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	r := get(t, start(t, someClicks(), Unready{"mapper clicks/0", "restoring"})+"/readyz")
	if want := `{"ready":false,"not_ready":[{"part":"mapper clicks/0","reason":"restoring"}]}`; r.StatusCode != 503 || strings.TrimSpace(r.body) != want {
		t.Errorf("HTTP %d %s, want %s", r.StatusCode, r.body, want)
	}
}
