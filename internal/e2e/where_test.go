package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/api"
)

// TestWhere asks about clicks that no filter was defined for: by command line, of a log, and of
// what was kept of it.
func TestWhere(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t, "--role=all,raw", "--input.types=campaign:int")
	var b strings.Builder
	for i := range 300 { // five minutes, each event twice
		line := fmt.Sprintf(`{"event_id":"e%d","ad_id":"ad-%d","ts":"2024-05-01T10:%02d:%02dZ","country":"%s","ip":"10.%d.0.1","campaign":%d}`+"\n",
			i, i%3, i/60, i%60, []string{"KR", "US"}[i%2], i%4, i)
		b.WriteString(line + line)
	}
	s.load(write(t, "clicks.jsonl", b.String()), "--finish", "--wait")

	for where, want := range map[string]struct{ all, ad int64 }{
		`true`:                             {120, 40},
		`country == "KR"`:                  {60, 20},
		`country != "KR" and campaign<120`: {30, 10},
		`ip in cidr("10.0.0.0/15")`:        {60, 20},
		`user_agent == nil`:                {120, 40},
	} {
		stdout, stderr, status := s.command("query", "count", "ad-1", "--where", where,
			"--from", "2024-05-01T10:01:00Z", "--to", "2024-05-01T10:03:00Z", "-o", "json")
		var got api.Clicks
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 {
			t.Fatal(err, status, stderr)
		}
		if got.Count != want.all || got.Ads[0].Count != want.ad || !got.Exact || got.Status != api.Final || got.Scanned.Records < 600 {
			t.Errorf("%s: %+v, want %v", where, got, want)
		}
	}
	stdout, _, status := s.command("query", "top", "-n", "1", "--where", `country == "KR"`, "--from", "2024-05-01T10:00:00Z", "--to", "2024-05-01T10:05:00Z")
	if status != 0 || !strings.Contains(stdout, "50  ad-0") || !strings.Contains(stdout, "150 clicks of 3 ads") || !strings.Contains(stdout, "of the input topics: exact") {
		t.Errorf("%d: %s", status, stdout)
	}
	if _, stderr, status := s.command("query", "top", "--where", "true", "--watch"); status != 2 || !strings.Contains(stderr, "--where goes without --watch") {
		t.Errorf("%d: %s", status, stderr)
	}
	if _, stderr, status := s.command("query", "top", "--where", "", "--last", "5m"); status != 2 || !strings.Contains(stderr, "--where: ") {
		t.Errorf("without a predicate: status %d, %s", status, stderr)
	}
	_, stderr, status := s.command("query", "count", "--where", "contry == 1", "--last", "5m")
	if status != 2 || !strings.Contains(stderr, "--where: line 1, column 1: there is no field contry; is country meant?") {
		t.Errorf("%d: %s", status, stderr)
	}
}
