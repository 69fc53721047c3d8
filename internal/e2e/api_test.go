package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestAPI asks over plain HTTP what a program would ask, and holds the answers to
// their documented fields.
func TestAPI(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	clicks, _ := minutes(0, 3, 10) // of ad-0 4 a minute, of the others 3
	clicks += `{"event_id":"x","ad_id":"a/b c","ts":"2024-05-01T10:00:30Z"}` + "\n"
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")

	const span = "start_time=2024-05-01T10:00:00Z&to_time=2024-05-01T10:03:00Z"
	frame := map[string]any{
		"start_time": "2024-05-01T10:00:00Z", "to_time": "2024-05-01T10:03:00Z", "filter_identifier": "000",
		"status": "final", "complete_until": "2024-05-01T10:03:00Z", "revision": 1.0,
	}
	with := func(pairs ...any) map[string]any {
		m := maps.Clone(frame)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	ad := func(id string, n float64) any { return map[string]any{"ad_id": id, "count": n} }
	for _, test := range []struct {
		path   string
		status int
		want   map[string]any
	}{
		{"/v1/ads/ad-0/aggregated_count?" + span, 200, with("ad_id", "ad-0", "count", 12.0)},
		{"/v1/ads/a%2Fb%20c/aggregated_count?" + span, 200, with("ad_id", "a/b c", "count", 1.0)},
		{"/v1/ads/none/aggregated_count?" + span, 200, with("ad_id", "none", "count", 0.0, "revision", 0.0)},
		{"/v1/ads/ad-0/aggregated_count?start_time=1714557600&to_time=1714557660000", 200, with("ad_id", "ad-0", "count", 4.0, "to_time", "2024-05-01T10:01:00Z")},
		{
			"/v1/ads/ad-0/aggregated_count?start_time=2024-05-01T10:00:00Z&to_time=2024-05-01T10:04:00Z", 200,
			with("ad_id", "ad-0", "count", 12.0, "to_time", "2024-05-01T10:04:00Z", "status", "provisional"),
		},
		{
			"/v1/ads/top_clicked_ads?n=2&" + span, 200,
			with("ad_ids", []any{"ad-0", "ad-1"}, "ads", []any{ad("ad-0", 12), ad("ad-1", 9)}, "exact", true),
		},
		{"/livez", 200, map[string]any{"live": true}},
		{"/readyz", 200, map[string]any{"ready": true, "not_ready": []any{}}},
	} {
		status, kind, body := get(ctx, t, s, test.path)
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s: %v: %s", test.path, err, body)
		}
		if status != test.status || kind != "application/json" || fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %d, %s\n%v\nnot\n%v", test.path, status, kind, got, test.want)
		}
	}
	for path, want := range map[string]struct {
		status    int
		parameter string
	}{
		"/v1/ads/top_clicked_ads?n=0":                               {400, "n"},
		"/v1/ads/top_clicked_ads?n=10&n=20":                         {400, "n"},
		"/v1/ads/top_clicked_ads?nn=10":                             {400, "nn"},
		"/v1/ads/ad-0/aggregated_count?last=-5m":                    {400, "last"},
		"/v1/ads/ad-0/aggregated_count?to_time=soon":                {400, "to_time"},
		"/v1/ads/ad-0/aggregated_count?filter_identifier=001":       {400, "filter_identifier"},
		"/v1/ads/" + strings.Repeat("a", 129) + "/aggregated_count": {400, "ad_id"},
		"/v1/ads/a/b/aggregated_count":                              {404, ""},
		"/ui/":                                                      {404, ""},
	} {
		status, kind, body := get(ctx, t, s, path)
		var problem struct {
			Status                   int
			Title, Detail, Parameter string
		}
		if err := json.Unmarshal(body, &problem); err != nil {
			t.Errorf("%s: %v: %s", path, err, body)
		}
		if status != want.status || problem.Status != status || problem.Parameter != want.parameter || kind != "application/problem+json" || problem.Title == "" || problem.Detail == "" {
			t.Errorf("%s: %d, %s, %s", path, status, kind, body)
		}
	}
}

func get(ctx context.Context, t *testing.T, s *server, path string) (status int, kind string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.api+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if body, err = io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header.Get("Content-Type"), body
}

// TestStatus: status names each role and what holds back, in an order that stays.
func TestStatus(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	s.settled(ctx, 0)
	s.eventually(ctx, "what holds back", func() error {
		text := s.must("status")
		for _, words := range []string{"no window is complete yet; held back by clicks/", "never had a click, and clicks do not arrive live yet", "✓ clicks/0: received 0"} {
			if !strings.Contains(text, words) {
				return fmt.Errorf("%q is not in:\n%s", words, text)
			}
		}
		return nil
	})
	clicks, _ := minutes(0, 3, 10)
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")
	s.settled(ctx, 34)
	contains(t, s.must("status"), "complete until 2024-05-01T10:03:00Z", "✓ clicks/0", "✓ clicks/3", "counted")

	var st struct {
		Roles []struct {
			Name       string
			Partitions []struct {
				Topic     string
				Partition int
				Lag       *int64
			}
		}
	}
	if err := json.Unmarshal([]byte(s.must("status", "-o", "json")), &st); err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, r := range st.Roles {
		roles = append(roles, r.Name)
		var parts []string
		for _, p := range r.Partitions {
			parts = append(parts, fmt.Sprintf("%s/%03d", p.Topic, p.Partition))
			if p.Lag == nil || *p.Lag < 0 {
				t.Errorf("%s of %s/%d: lag %v", r.Name, p.Topic, p.Partition, p.Lag)
			}
		}
		if len(parts) == 0 || !slices.IsSorted(parts) {
			t.Errorf("%s: %v", r.Name, parts)
		}
	}
	if want := []string{"mapper", "aggregator", "reducer", "writer"}; !slices.Equal(roles, want) {
		t.Errorf("roles %v", roles)
	}
}
