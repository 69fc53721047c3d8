package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/ui"
)

// fakeAPI stands in for the API where a page must be seen in a state that a real
// installation is in by chance only. Its fields say what it answers; change them
// within set.
type fakeAPI struct {
	url    string
	server *httptest.Server
	ended  context.Context // ends streams, which would hold the server's end up
	end    context.CancelFunc

	mu     sync.Mutex
	now    time.Time        // until then clicks came
	token  string           // wanted of who asks; none is wanted when empty
	refuse int              // the status of all answers, unless 0
	clicks map[string]int64 // in a minute on average, by ad
	status api.Status
	stream chan string // what the stream says; nil: there is no stream
	asked  []string    // the questions, with their parameters
	live   bool        // clicks come from one question for the status to the next
	held   bool        // a correction of all there is is at work
}

// newFakeAPI is an installation with a few ads, a minute of which is still open.
func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	now := time.Date(2026, 3, 2, 17, 4, 20, 0, time.UTC)
	f := &fakeAPI{now: now, clicks: map[string]int64{"shoes-42": 310, "shoes-7": 290, "hats/1 &<b>": 120, "coats-3": 75}, stream: make(chan string)}
	f.status = f.wellStatus()
	f.ended, f.end = context.WithCancel(t.Context())
	f.server = httptest.NewServer(f)
	f.url = f.server.URL
	t.Cleanup(f.away)
	return f
}

func (f *fakeAPI) wellStatus() api.Status {
	until := f.now.Truncate(time.Minute)
	mark := func(behind time.Duration) *time.Time { return new(f.now.Add(-behind)) }
	st := api.Status{
		At: f.now, CompleteUntil: &until, HoldsBack: "clicks/3", Rejected: map[string]int64{"bad_time": 41, "malformed": 12, "ahead": 3},
		Roles: []api.Role{{Name: "mapper"}, {Name: "aggregator"}, {Name: "reducer"}, {Name: "writer"}},
	}
	for i := range int32(4) {
		n := int64(1_200_000 + 7919*int64(i))
		part := func(topic string) api.Partition {
			return api.Partition{Topic: topic, Partition: i, Next: n, End: n, Watermark: mark(15*time.Second + time.Duration(i)*300*time.Millisecond)}
		}
		m, a, r, w := part("clicks"), part("clickagg.shuffle"), part("clickagg.partials"), part("clickagg.results")
		m.Lag, m.End = 12*int64(i), n+12*int64(i)
		a.HoldsBack, a.WindowsOpen, a.IDs, a.Ads = "clicks/3", 2, 51_400, 9_812
		r.HoldsBack, w.Watermark = "shard 1", nil
		for j, p := range []api.Partition{m, a, r, w} {
			st.Roles[j].Partitions = append(st.Roles[j].Partitions, p)
		}
		st.Accounting = append(st.Accounting, api.Accounting{
			Source: fmt.Sprintf("clicks/%d", i), Received: n, Counted: n - 3421 - 14 - 8 - 2, Duplicate: 3421, Rejected: 14, Late: 8, Marks: 2, Holds: true,
		})
	}
	return st
}

// set changes what the API answers.
func (f *fakeAPI) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// away ends the API.
func (f *fakeAPI) away() {
	f.end()
	f.server.Close()
}

// questions are those asked so far whose path begins with a prefix.
func (f *fakeAPI) questions(prefix string) (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.asked {
		if strings.HasPrefix(q, prefix) {
			all = append(all, q)
		}
	}
	return all
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if file := ui.Find()[r.URL.Path]; file != nil {
		file.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.RequestURI())
	status, answer, stream := http.StatusOK, f.answer(r.URL), f.stream
	switch {
	case f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token:
		status, answer = http.StatusUnauthorized, map[string]any{"title": "Unauthorized", "detail": "a token is needed"}
	case f.refuse != 0:
		status, answer = f.refuse, map[string]any{"title": "Refused", "detail": "the store is away"}
	case r.URL.Path == "/v1/stream" && stream != nil:
		f.mu.Unlock()
		f.tell(w, r, stream)
		return
	case answer == nil:
		status, answer = http.StatusNotFound, map[string]any{"title": "Not Found", "detail": "nothing is here"}
	}
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// tell sends events until the reader goes.
func (f *fakeAPI) tell(w http.ResponseWriter, r *http.Request, events <-chan string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case e := <-events:
			_, _ = w.Write([]byte(e))
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		case <-f.ended.Done():
			return
		}
	}
}

func (f *fakeAPI) answer(u *url.URL) any {
	q := u.Query()
	switch path := u.EscapedPath(); {
	case path == "/v1/status":
		f.status.At = f.status.At.Add(time.Second)
		if f.live {
			f.advance(time.Second)
		}
		return f.status
	case path == "/v1/filters":
		return map[string]any{"filters": []map[string]any{
			{"filter_identifier": "kr", "name": "Korea", "where": `country == "KR"`}, {"filter_identifier": "mobile", "name": "Phones", "where": `device == "mobile"`},
		}}
	case path == "/v1/ads":
		return map[string]any{"ad_ids": f.beginning(q.Get("prefix"))}
	case path == "/v1/ads/top_clicked_ads":
		return f.top(q)
	case strings.HasSuffix(path, "/aggregated_count"):
		ad, _ := url.PathUnescape(strings.TrimSuffix(strings.TrimPrefix(path, "/v1/ads/"), "/aggregated_count"))
		return f.count(ad, q)
	}
	return nil
}

// advance lets time pass: the clicks of all ads come, a part of them from each source.
func (f *fakeAPI) advance(d time.Duration) {
	before := f.now
	f.now = before.Add(d)
	var came int64
	for ad := range f.clicks {
		came += f.came(ad, before, f.now)
	}
	sources := int64(len(f.status.Accounting))
	for i := range f.status.Accounting {
		n := (came + int64(i)) / sources
		f.status.Accounting[i].Received += n
		f.status.Accounting[i].Counted += n
	}
	for _, r := range f.status.Roles {
		for i, p := range r.Partitions {
			if p.Watermark != nil {
				r.Partitions[i].Watermark = new(p.Watermark.Add(d))
			}
		}
	}
}

// One minute without a click, and the start of one that was corrected.
var (
	silence   = time.Date(2026, 3, 2, 16, 7, 0, 0, time.UTC)
	corrected = silence.Add(18 * time.Minute)
)

// came is how many clicks an ad got: a day's swell, the same each time. Whoever adds
// up the parts of a range gets what the whole has.
func (f *fakeAPI) came(ad string, from, to time.Time) int64 {
	return int64(float64(f.clicks[ad])*f.swell(to)) - int64(float64(f.clicks[ad])*f.swell(from))
}

// swell is how many clicks came until a moment of an ad that gets one in a minute.
func (f *fakeAPI) swell(until time.Time) float64 {
	sum := func(t time.Time) float64 {
		m := float64(t.UnixMilli()) / float64(time.Minute.Milliseconds())
		return m - .35*17*math.Cos(m/17) - .15*3.1*math.Cos(m/3.1) - .08/1.7*math.Cos(m*1.7)
	}
	if until.After(f.now) {
		until = f.now
	}
	switch end := silence.Add(time.Minute); {
	case !until.Before(end):
		return sum(until) - (sum(end) - sum(silence))
	case until.After(silence):
		return sum(silence)
	}
	return sum(until)
}

func (f *fakeAPI) frame(q url.Values) api.Frame {
	from, _ := time.Parse(time.RFC3339, q.Get("start_time"))
	to, _ := time.Parse(time.RFC3339, q.Get("to_time"))
	fr := api.Frame{StartTime: from, ToTime: to, Filter: q.Get("filter_identifier"), Status: api.Provisional, CompleteUntil: f.status.CompleteUntil, Revision: 1}
	if c := f.status.CompleteUntil; c != nil && !to.After(*c) && !f.held {
		fr.Status = api.Final
	}
	return fr
}

func (f *fakeAPI) beginning(prefix string) []string {
	found := []string{}
	for ad := range f.clicks {
		if strings.HasPrefix(ad, prefix) {
			found = append(found, ad)
		}
	}
	slices.Sort(found)
	return found[:min(len(found), 12)]
}

func (f *fakeAPI) top(q url.Values) api.Top {
	t := api.Top{AdIDs: []string{}, Ads: []api.AdCount{}, Exact: true, Frame: f.frame(q)}
	for ad := range f.clicks {
		t.Ads = append(t.Ads, api.AdCount{AdID: ad, Count: f.came(ad, t.StartTime, t.ToTime)})
	}
	slices.SortFunc(t.Ads, func(a, b api.AdCount) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.AdID, b.AdID)
	})
	var n int
	_, _ = fmt.Sscan(q.Get("n"), &n)
	t.Ads = t.Ads[:min(len(t.Ads), n)]
	for _, a := range t.Ads {
		t.AdIDs = append(t.AdIDs, a.AdID)
	}
	return t
}

// series is what granularity adds to a count.
type series struct {
	api.Count
	Granularity string   `json:"granularity"`
	Series      []window `json:"series"`
}

type window struct {
	StartTime time.Time `json:"start_time"`
	Count     int64     `json:"count"`
	Status    string    `json:"status"`
	Revision  int64     `json:"revision"`
}

// count is that of an ad by steps; those without a click are left out.
func (f *fakeAPI) count(ad string, q url.Values) series {
	s := series{Count: api.Count{AdID: ad, Frame: f.frame(q)}, Granularity: q.Get("granularity")}
	s.Count.Count = f.came(ad, s.StartTime, s.ToTime)
	step := map[string]time.Duration{"1m": time.Minute, "1h": time.Hour, "1d": 24 * time.Hour}[s.Granularity]
	for at := s.StartTime; at.Before(s.ToTime) && step > 0; {
		end := at.Truncate(step).Add(step)
		if end.After(s.ToTime) {
			end = s.ToTime
		}
		w := window{StartTime: at, Count: f.came(ad, at, end), Status: api.Final, Revision: 1}
		if c := f.status.CompleteUntil; c == nil || end.After(*c) || f.held {
			w.Status = api.Provisional
		}
		if !corrected.Before(at) && corrected.Before(end) {
			w.Revision, s.Revision = 2, 2
		}
		if w.Count > 0 {
			s.Series = append(s.Series, w)
		}
		at = end
	}
	return s
}
