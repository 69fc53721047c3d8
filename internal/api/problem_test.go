package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/clickagg/clickagg/storage"
)

const (
	count   = "/v1/ads/a/aggregated_count"
	counts  = "/v1/ads/counts"
	top     = "/v1/ads/top_clicked_ads"
	export  = "/v1/export/counts"
	lineage = "/v1/lineage"
)

var long = strings.Repeat("x", 129)

// refusals are what cannot be asked, and why not.
var refusals = []struct {
	path, kind, parameter, says string
	status                      int
}{
	{"/ui/", "not_found", "", "/v1/ads/{ad_id}/aggregated_count", 404},
	{"/v1/ads/a/b/aggregated_count", "not_found", "", "%2F", 404},
	{"/v1/ads/a/aggregated_count/", "not_found", "", "", 404},
	{"/v1//status", "not_found", "", "", 404},
	{"/%1b[31m", "not_found", "", "", 404},
	{"/v1/ads//aggregated_count", "bad_ad_id", "ad_id", "empty", 400},
	{"/v1/ads/" + long + "/aggregated_count", "bad_ad_id", "ad_id", "129 bytes", 400},
	{"/v1/ads/%00/aggregated_count", "bad_ad_id", "ad_id", `\x00`, 400},
	{"/v1/ads/a%0ab/aggregated_count", "bad_ad_id", "ad_id", `a\nb`, 400},
	{"/v1/ads/%ff/aggregated_count", "bad_ad_id", "ad_id", "UTF-8", 400},
	{"/v1/ads/../aggregated_count", "bad_ad_id", "ad_id", "%2E", 400},
	{count + "?x=%zz", "bad_query", "", "%zz", 400},
	{count + "?a;b", "bad_query", "", "semicolon", 400},
	{count + "?start_tme=now", "unknown_parameter", "start_tme", "did you mean start_time?", 400},
	{count + "?end_time=now", "unknown_parameter", "end_time", "did you mean to_time?", 400},
	{count + "?n=1", "unknown_parameter", "n", "there are start_time, to_time, last, filter_identifier, granularity", 400},
	{count + "?granularity=5m", "bad_granularity", "granularity", "1m, 1h and 1d", 400},
	{counts, "bad_number", "ad_id", "from 1 to 100", 400},
	{counts + "?ad_id=a" + strings.Repeat("&ad_id=b", 100), "bad_number", "ad_id", "101 ads", 400},
	{counts + "?ad_id=a&ad_id=b&ad_id=a", "repeated_parameter", "ad_id", `the ad "a" is asked for twice`, 400},
	{counts + "?ad_id=a&ad_id=", "bad_ad_id", "ad_id", "empty", 400},
	{counts + "?ad_id=a&granularity=1m", "unknown_parameter", "granularity", "there are ad_id", 400},
	{"/v1/ads?limit=0", "bad_number", "limit", "1 to 100", 400},
	{"/v1/ads?limit=101", "bad_number", "limit", "1 to 100", 400},
	{"/v1/ads?prefix=" + long, "bad_ad_id", "prefix", "129 bytes", 400},
	{"/v1/ads?prefix=%0a", "bad_ad_id", "prefix", `\n`, 400},
	{"/v1/minutes/", "bad_time", "minute", "", 400},
	{"/v1/minutes/noon", "bad_time", "minute", `"noon"`, 400},
	{"/v1/minutes/now?last=1m", "unknown_parameter", "last", "it takes none", 400},
	{count + "?Last=5m", "unknown_parameter", "Last", "did you mean last?", 400},
	{top + "?limit=5", "unknown_parameter", "limit", "did you mean n?", 400},
	{export + "?start_time=now", "unknown_parameter", "start_time", "did you mean from?", 400},
	{"/v1/status?x=1", "unknown_parameter", "x", "it takes none", 400},
	{count + "?last=5m&last=5m", "repeated_parameter", "last", "2 times", 400},
	{count + "?start_time=yesterday", "bad_time", "start_time", `"yesterday"`, 400},
	{count + "?start_time=", "bad_time", "start_time", "", 400},
	{count + "?to_time=2019-11-24T12:00:00+01:00", "bad_time", "to_time", "%2B", 400},
	{count + "?to_time=1574596800000000", "bad_time", "to_time", "2000 to 2099", 400},
	{count + "?to_time=99", "bad_time", "to_time", "2000 to 2099", 400},
	{count + "?last=5", "bad_time", "last", "5m", 400},
	{count + "?last=-5m", "bad_time", "last", "", 400},
	{count + "?last=30s", "bad_range", "last", "1m0s", 400},
	{count + "?last=32d", "bad_range", "last", "31 days", 400},
	{count + "?last=5m&to_time=now", "bad_range", "last", "to_time", 400},
	{count + "?start_time=now", "bad_range", "start_time", "not before", 400},
	{count + "?start_time=-32d", "bad_range", "start_time", "31 days", 400},
	{count + "?to_time=2019-11-26T00:00:00Z", "bad_range", "to_time", "far future", 400},
	{count + "?start_time=-20s", "bad_range", "", "longer range", 400},
	{count + "?filter_identifier=001", "unknown_filter", "filter_identifier", `only "000"`, 400},
	{top + "?filter_identifier=", "unknown_filter", "filter_identifier", `only "000"`, 400},
	{export + "?filter_identifier=1", "unknown_filter", "filter_identifier", `only "000"`, 400},
	{top + "?n=0", "bad_number", "n", "1 to 1000", 400},
	{top + "?n=1001", "bad_number", "n", "1 to 1000", 400},
	{top + "?n=ten", "bad_number", "n", "1 to 1000", 400},
	{top + "?last=x", "bad_time", "last", "", 400},
	{lineage, "bad_time", "start_time", "say which window", 400},
	{lineage + "?start_time=yesterday", "bad_time", "start_time", `"yesterday"`, 400},
	{lineage + "?minute=now", "unknown_parameter", "minute", "there is only start_time", 400},
	{lineage + "?start_time=now&start_time=now", "repeated_parameter", "start_time", "2 times", 400},
	{lineage + "?start_time=2019-11-24T12:00:59Z", "no_lineage", "start_time", "2019-11-24T12:00:00Z", 404},
	{export + "?format=xml", "bad_format", "format", "csv and json", 400},
	{export + "?from=x", "bad_time", "from", "", 400},
	{export + "?to=x", "bad_time", "to", "", 400},
	{export + "?from=now&to=-1m", "bad_range", "from", "not before", 400},
}

func TestProblems(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	for _, test := range refusals {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			r := get(t, at+test.path)
			checkProblem(t, r, test.status, test.kind)
			var p Problem
			if err := json.Unmarshal([]byte(r.body), &p); err != nil {
				t.Fatal(err)
			}
			if p.Parameter != test.parameter || !strings.Contains(p.Detail, test.says) {
				t.Errorf("got %s; want parameter %q and %q in the detail", r.body, test.parameter, test.says)
			}
		})
	}
}

// checkProblem looks at what every problem has.
func checkProblem(t *testing.T, r reply, status int, kind string) {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(r.body), &fields); err != nil {
		t.Fatalf("HTTP %s with %q: %v", r.Status, r.body, err)
	}
	for _, name := range []string{"type", "title", "status", "detail", "request_id"} {
		if fields[name] == nil || fields[name] == "" {
			t.Errorf("no %s in %s", name, r.body)
		}
	}
	if r.StatusCode != status || fields["status"] != float64(status) || !strings.HasSuffix(fields["type"].(string), "#"+kind) {
		t.Errorf("got HTTP %d and %s; want %d %s", r.StatusCode, r.body, status, kind)
	}
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
	if fields["request_id"] != r.Header.Get("X-Request-Id") {
		t.Errorf("the request_id is not that of the header, %s", r.Header.Get("X-Request-Id"))
	}
	checkSafe(t, r)
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("ETag") != "" {
		t.Errorf("a problem may be kept: %v", r.Header)
	}
}

func checkSafe(t *testing.T, r reply) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestMethodsAndBodies(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks()) + "/v1/ads/a/aggregated_count"
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "FETCH"} {
		r := ask(t, method, at, nil)
		checkProblem(t, r, 405, "method_not_allowed")
		if r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("Allow is %q", r.Header.Get("Allow"))
		}
	}
	for _, length := range []int64{3, -1} {
		r := ask(t, http.MethodGet, at, func(r *http.Request) {
			r.Body, r.ContentLength = http.NoBody, length
			r.Body = struct{ *noClose }{&noClose{strings.NewReader("abc")}}
		})
		checkProblem(t, r, 413, "body_refused")
	}
	if r := ask(t, http.MethodHead, at, nil); r.StatusCode != 200 || r.body != "" {
		t.Errorf("HEAD: %s %q", r.Status, r.body)
	}
}

type noClose struct{ *strings.Reader }

func (*noClose) Close() error { return nil }

func TestHost(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1": 200, "127.0.0.1:1": 200, "[::1]": 200, "[::1]:80": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"192.168.0.1": 421, "0.0.0.0": 421, "localhost:": 421, "localhost:x": 421, "[::1": 421,
	} {
		for _, path := range []string{"/livez", "/v1/status", "/nowhere"} {
			want := status
			if path == "/nowhere" && status == 200 {
				want = 404
			}
			r := ask(t, http.MethodGet, at+path, func(r *http.Request) { r.Host = host })
			if r.StatusCode != want && !(want == 421 && r.StatusCode == 400) { // net/http refuses malformed ones itself
				t.Errorf("Host %q for %s: %s, want %d", host, path, r.Status, want)
			}
		}
	}
}

func TestHostIsFreeElsewhere(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{}, someClicks())
	s.loopback = false
	run(t, s)
	if r := ask(t, http.MethodGet, s.URL()+"/livez", func(r *http.Request) { r.Host = "api.example" }); r.StatusCode != 200 {
		t.Errorf("got %s", r.Status)
	}
}

var questions = []string{"/v1/ads/a/aggregated_count", "/v1/ads/top_clicked_ads", "/v1/export/counts", "/v1/export/counts?from=-1h&format=json"}

func TestStoreIsAway(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.err = errors.Join(errors.New("secret address"), storage.ErrUnavailable)
	at := start(t, f)
	for _, path := range questions {
		r := get(t, at+path)
		checkProblem(t, r, 503, "store_unavailable")
		if r.Header.Get("Retry-After") == "" || strings.Contains(r.body, "secret") {
			t.Errorf("%s: Retry-After %q, %s", path, r.Header.Get("Retry-After"), r.body)
		}
		if r.Header.Get(HeaderStatus) != "" {
			t.Errorf("%s: a refused export says it is %s", path, r.Header.Get(HeaderStatus))
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/v1/status"} {
		if r := get(t, at+path); r.StatusCode != 200 {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

func TestErrorsOfOursAreNotTold(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.err = errors.New("secret")
	at := start(t, f)
	for _, path := range questions {
		r := get(t, at+path)
		checkProblem(t, r, 500, "internal")
		if strings.Contains(r.body, "secret") {
			t.Error(r.body)
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks()) + "/livez"
	var made []string
	for given, kept := range map[string]bool{
		"abc-1.2_3": true, "": false, strings.Repeat("a", 65): false, "a b": false, `a"b`: false, "é": false,
	} {
		r := ask(t, http.MethodGet, at, func(r *http.Request) { r.Header["X-Request-Id"] = []string{given} })
		id := r.Header.Get("X-Request-Id")
		if (id == given) != kept || id == "" || slices.Contains(made, id) {
			t.Errorf("given %q, got %q", given, id)
		}
		made = append(made, id)
	}
}

func TestMeant(t *testing.T) {
	t.Parallel()
	known := []string{"n", "start_time", "to_time", "last", "filter_identifier"}
	for name, want := range map[string]string{
		"strat_time": "start_time", "start-time": "start_time", "to_tme": "to_time", "from": "start_time", "filter_identifer": "filter_identifier",
		"x": "", "": "", "ad_id": "", "lst": "last", strings.Repeat("start_time", 1000): "",
	} {
		got := ""
		if _, after, ok := strings.Cut(meant(name, known), "did you mean "); ok {
			got, _, _ = strings.Cut(after, "?")
		}
		if got != want {
			t.Errorf("%.20q: got %q, want %q", name, got, want)
		}
	}
}

func TestQuoteIsOneSafeLine(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"\x1b[2J", "a\nb", "\u202e", strings.Repeat("é", 1000), "\xff"} {
		q := quote(s)
		if strings.ContainsAny(q, "\x1b\n\u202e") || !utf8.ValidString(q) || len(q) > 1000 {
			t.Errorf("quote(%q) = %s", s, q)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	now := noon.Add(90 * time.Second)
	for _, test := range []struct {
		p        params
		window   time.Duration
		from, to time.Duration // from noon
	}{
		{params{}, time.Minute, 30 * time.Second, 90 * time.Second},
		{params{}, 5 * time.Minute, -210 * time.Second, 90 * time.Second},
		{params{"last": {"1m"}}, time.Minute, 30 * time.Second, 90 * time.Second},
		{params{"last": {"31d"}}, time.Minute, 90*time.Second - 31*24*time.Hour, 90 * time.Second},
		{params{"to_time": {"2019-11-24T12:00:00Z"}}, time.Minute, -time.Minute, 0},
		{params{"start_time": {"2019-11-24T13:00:00+01:00"}}, time.Minute, 0, 90 * time.Second},
		{params{"start_time": {"-1h"}, "to_time": {"now-30m"}}, time.Minute, 90*time.Second - time.Hour, 90*time.Second - 30*time.Minute},
	} {
		from, to, err := test.p.span(now, test.window)
		if err != nil || from != noon.Add(test.from).UnixMilli() || to != noon.Add(test.to).UnixMilli() {
			t.Errorf("%v: got %v to %v, %v", test.p, Time(from), Time(to), err)
		}
	}
}
