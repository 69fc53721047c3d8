package api

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/clickagg/clickagg/internal/access"
)

// The tokens of the tests: reader sees everything, acme the ads that begin with b, boss
// does everything.
var tokens = map[string]string{"reader": access.NewToken(), "acme": access.NewToken(), "boss": access.NewToken()}

func asking(t *testing.T, rate float64) access.Config {
	t.Helper()
	c := access.Config{Rate: rate, Burst: 2}
	known, err := c.NewGrants([]access.Grant{
		{Name: "reader", Hash: access.Hash(tokens["reader"])}, {Name: "acme", Hash: access.Hash(tokens["acme"]), Ads: []string{"b*"}},
		{Name: "boss", Hash: access.Hash(tokens["boss"]), Scope: access.Admin},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Grants = func() *access.Grants { return known }
	return c
}

// as sends a token.
func as(name string) func(*http.Request) {
	return func(r *http.Request) {
		if name != "" {
			r.Header.Set("Authorization", "Bearer "+tokens[name])
		}
	}
}

// Each route is answered to those it is for, and to nobody else.
func TestWhoMayAskWhat(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Access: asking(t, 0)}, someClicks())
	run(t, s)
	const count = "/v1/ads/b%2Fc%20d/aggregated_count?last=5m"
	for _, c := range []struct {
		path                       string
		nobody, reader, acme, boss int
	}{
		{"/", 200, 200, 200, 200}, // the dashboard asks for a token by itself
		{"/ui/app.js", 200, 200, 200, 200},
		{"/livez", 200, 200, 200, 200},
		{"/readyz", 200, 200, 200, 200},
		{count, 401, 200, 200, 200},
		{"/v1/ads/a/aggregated_count", 401, 200, 403, 200},
		{"/v1/ads/never-clicked/aggregated_count", 401, 200, 403, 200},
		{"/v1/ads/a/aggregated_count?granularity=1m&last=5m", 401, 200, 403, 200},
		{"/v1/ads/counts?ad_id=b/c%20d&ad_id=b", 401, 200, 200, 200},
		{"/v1/ads/counts?ad_id=b&ad_id=a", 401, 200, 403, 200},
		{"/v1/ads/top_clicked_ads", 401, 200, 403, 200},
		{"/v1/ads?prefix=b", 401, 200, 403, 200},
		{"/v1/minutes/2019-11-24T11:58:00Z", 401, 200, 403, 200}, // its account is of all ads
		{"/v1/status", 401, 200, 403, 200},
		{"/v1/filters", 401, 200, 403, 200}, // their predicates may name ads
		{"/v1/lineage?start_time=2019-11-24T11:58:00Z", 401, 200, 403, 200},
		{"/v1/export/counts", 401, 403, 403, 200},
		{"/v1/audit?start_time=2019-11-24T12:00:00Z&to_time=2019-11-24T12:01:00Z", 401, 403, 403, 200},
		{reconciled, 401, 403, 403, 404},               // this one has no clicks to read
		{"/v1/replay?" + replayed, 401, 403, 403, 404}, // this one has no clicks to read
		{"/v1/replays?" + replayed, 401, 403, 403, 405},
	} {
		for who, want := range map[string]int{"": c.nobody, "reader": c.reader, "acme": c.acme, "boss": c.boss} {
			r := ask(t, http.MethodGet, s.URL()+c.path, as(who))
			if r.StatusCode != want {
				t.Errorf("%s for %q: %s, want %d: %s", c.path, who, r.Status, want, r.body)
			}
			switch want {
			case 401:
				checkProblem(t, r, 401, "unauthorized")
			case 403:
				checkProblem(t, r, 403, "forbidden")
			}
			open := c.nobody == http.StatusOK // the same for everybody
			if cache := r.Header.Get("Cache-Control"); !open && !strings.Contains(cache, "no-store") && !strings.Contains(cache, "private") {
				t.Errorf("%s for %q: a cache that others share may keep the answer: %q", c.path, who, cache)
			}
			if wants := r.Header.Values("WWW-Authenticate"); (want == 401) != slices.Contains(wants, `Bearer realm="clickagg"`) {
				t.Errorf("%s for %q: WWW-Authenticate %q", c.path, who, wants)
			}
		}
	}
	// A browser asks its user when it goes there, and not when a page asks.
	for accept, want := range map[string]bool{"text/html,*/*;q=0.8": true, "*/*": false} {
		r := ask(t, http.MethodGet, s.URL()+"/v1/status", func(r *http.Request) { r.Header.Set("Accept", accept) })
		if got := len(r.Header.Values("WWW-Authenticate")) == 2; got != want {
			t.Errorf("Accept: %s: WWW-Authenticate %q", accept, r.Header.Values("WWW-Authenticate"))
		}
	}
	// Every route there is must have been thought of.
	for _, r := range s.routes {
		path := strings.NewReplacer("{ad_id}", "b", "{minute}", "now").Replace(r.path)
		if got := ask(t, http.MethodGet, s.URL()+path, nil).StatusCode; (got == 401) == r.open {
			t.Errorf("%s without a token: %d", path, got)
		}
		if got := ask(t, http.MethodGet, s.URL()+path, as("acme")).StatusCode; (got == 403) == (r.open || r.own) {
			t.Errorf("%s for one who may see some ads only: %d", path, got)
		}
	}
}

// What somebody may not see is refused in the same words whether it is there or not,
// and before the store is asked.
func TestOthersAdsAreNotGivenAway(t *testing.T) {
	t.Parallel()
	f := someClicks()
	f.err = net.ErrClosed // any use of the store would be a 500
	s := makeServer(t, Config{Access: asking(t, 0)}, f)
	run(t, s)
	say := func(ad string) string {
		r := ask(t, http.MethodGet, s.URL()+"/v1/ads/"+ad+"/aggregated_count", func(r *http.Request) {
			as("acme")(r)
			r.Header.Set("X-Request-Id", "1")
			r.Header.Set("If-None-Match", "*")
		})
		r.Header.Del("Date")
		var head strings.Builder
		if err := r.Header.Write(&head); err != nil {
			t.Fatal(err)
		}
		return r.Status + head.String() + r.body
	}
	there, missing := say("a"), say("z")
	if there != strings.ReplaceAll(missing, `\"z\"`, `\"a\"`) || !strings.Contains(there, "403") {
		t.Errorf("of one that is there:\n%s\nof one that is not:\n%s", there, missing)
	}
}

// Nor are the names of filters, which may be those of others.
func TestFiltersAreNotGivenAway(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Access: asking(t, 0)}, filtered())
	run(t, s)
	for who, named := range map[string]bool{"acme": false, "reader": true} {
		r := ask(t, http.MethodGet, s.URL()+"/v1/ads/b/aggregated_count?last=5m&filter_identifier=phone", as(who))
		checkProblem(t, r, 400, "unknown_filter")
		if strings.Contains(r.body, "phones") != named || strings.Contains(r.body, "kr") != named {
			t.Errorf("%s is told %s", who, r.body)
		}
		if r := ask(t, http.MethodGet, s.URL()+"/v1/ads/b/aggregated_count?last=5m&filter_identifier=kr", as(who)); r.StatusCode != 200 {
			t.Errorf("%s: %s", who, r.body)
		}
	}
}

func TestWrongToken(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Access: asking(t, 0)}, someClicks())
	run(t, s)
	r := ask(t, http.MethodGet, s.URL()+"/v1/status", func(r *http.Request) { r.Header.Set("Authorization", "Bearer hunter2") })
	checkProblem(t, r, 401, "unauthorized")
	if wants := r.Header.Values("WWW-Authenticate"); !slices.Contains(wants, `Bearer realm="clickagg", error="invalid_token"`) || strings.Contains(r.body, "hunter2") {
		t.Errorf("%q, %s", wants, r.body)
	}
	if n := testutil.ToFloat64(s.metrics.refused.WithLabelValues("unauthorized")); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
	ok := ask(t, http.MethodGet, s.URL()+"/v1/status", func(r *http.Request) {
		as("reader")(r)
		r.Host = "clicks.example" // of a proxy: who shows a token is no rebound page
	})
	if ok.StatusCode != 200 || !slices.Contains(ok.Header.Values("Vary"), "Authorization") {
		t.Errorf("%s, Vary %q", ok.Status, ok.Header.Values("Vary"))
	}
}

func TestAskedTooOften(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Access: asking(t, 0.1)}, someClicks())
	run(t, s)
	for range 2 {
		if r := ask(t, http.MethodGet, s.URL()+"/v1/status", as("reader")); r.StatusCode != 200 {
			t.Errorf("got %s", r.Status)
		}
	}
	for range 2 {
		r := ask(t, http.MethodGet, s.URL()+"/v1/status", as("reader"))
		checkProblem(t, r, 429, "too_often")
		if got := r.Header.Get("Retry-After"); got != "10" {
			t.Errorf("Retry-After is %q", got)
		}
	}
	for range 3 {
		if r := ask(t, http.MethodGet, s.URL()+"/livez", as("reader")); r.StatusCode != 200 {
			t.Errorf("a probe got %s", r.Status)
		}
	}
	if r := ask(t, http.MethodGet, s.URL()+"/v1/status", as("boss")); r.StatusCode != 200 {
		t.Errorf("another got %s", r.Status)
	}
}

func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Access: asking(t, 0), Origins: []string{"https://reports.example"}}, someClicks())
	run(t, s)
	from := func(origin, method string, also func(*http.Request)) reply {
		return ask(t, method, s.URL()+"/v1/status", func(r *http.Request) {
			r.Header.Set("Origin", origin)
			also(r)
		})
	}
	preflight := func(r *http.Request) { r.Header.Set("Access-Control-Request-Method", "GET") }
	page := ask(t, http.MethodGet, s.URL()+"/", func(r *http.Request) { r.Header.Set("Origin", "https://reports.example") })
	if vary := page.Header.Values("Vary"); !slices.Contains(vary, "Origin") || !slices.Contains(vary, "Accept-Encoding") {
		t.Errorf("the page varies by %q", vary)
	}
	r := from("https://reports.example", http.MethodOptions, preflight)
	if r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Origin") != "https://reports.example" || !strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("%s, %v", r.Status, r.Header)
	}
	for what, r := range map[string]reply{
		"answered": from("https://reports.example", http.MethodGet, as("reader")), "refused": from("https://reports.example", http.MethodGet, as("")),
	} {
		if r.Header.Get("Access-Control-Allow-Origin") != "https://reports.example" || !slices.Contains(r.Header.Values("Vary"), "Origin") || r.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %s, %v", what, r.Status, r.Header)
		}
	}
	if r := from("https://evil.example", http.MethodOptions, preflight); r.StatusCode != 401 || r.Header.Get("Access-Control-Allow-Origin") != "" || !slices.Contains(r.Header.Values("Vary"), "Origin") {
		t.Errorf("of a strange origin: %s, %v", r.Status, r.Header)
	}
	at := start(t, someClicks())
	if r := ask(t, http.MethodGet, at+"/v1/status", func(r *http.Request) { r.Header.Set("Origin", "https://reports.example") }); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("off by default: %v", r.Header)
	}
}

// Connections over the limit wait, and are served when one has ended.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	s := makeServer(t, Config{Connections: 1}, someClicks())
	run(t, s)
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		return conn, bufio.NewReader(conn)
	}
	first, answer := dial()
	if _, err := answer.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	second, answer := dial()
	defer second.Close()
	if err := second.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if line, err := answer.ReadString('\n'); err == nil {
		t.Errorf("the second of one connection got %q", line)
	}
	if err := second.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Errorf("afterwards the second got %q, %v", line, err)
	}
}
