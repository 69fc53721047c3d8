package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// filtered has a filter that holds, one that held, one that was defined anew and one
// that never held.
func filtered() *fake {
	f := someClicks()
	f.filters = []storage.Filter{
		{ID: "kr", Name: "Korea", Where: `country == "KR"`, From: at(-60), Until: at(-30)},
		{ID: "kr", Name: "Korea", Where: `country in ["KR"]`, From: at(-30), Until: click.None},
		{ID: "never", Where: "true", From: at(-10), Until: at(-10)},
		{ID: "phones", Name: "Phones & co", Where: `device == "ios"`, From: 0, Until: at(-5)},
	}
	return f
}

func TestFilters(t *testing.T) {
	t.Parallel()
	base := start(t, filtered())
	want := `{"filters":[` +
		`{"filter_identifier":"kr","name":"Korea","where":"country == \"KR\"","since":"2019-11-24T11:00:00Z","until":"2019-11-24T11:30:00Z"},` +
		`{"filter_identifier":"kr","name":"Korea","where":"country in [\"KR\"]","since":"2019-11-24T11:30:00Z"},` +
		`{"filter_identifier":"phones","name":"Phones & co","where":"device == \"ios\"","since":"1970-01-01T00:00:00Z","until":"2019-11-24T11:55:00Z"}]}`
	if r := get(t, base+"/v1/filters"); r.StatusCode != 200 || strings.TrimSpace(r.body) != want {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := get(t, start(t, someClicks())+"/v1/filters"); strings.TrimSpace(r.body) != `{"filters":[]}` {
		t.Errorf("without filters: %s", r.body)
	}
}

// An answer over time in which its filter did not hold, or meant something else, says so.
func TestAnswerSaysWhenItsFilterHeld(t *testing.T) {
	t.Parallel()
	base := start(t, filtered())
	for ask, want := range map[string]string{
		"000 11:00 12:00":    "",
		"kr 11:00 11:30":     "",
		"kr 11:30 12:00":     "",
		"kr 11:10 11:50":     `[{"start_time":"2019-11-24T11:10:00Z","to_time":"2019-11-24T11:30:00Z"},{"start_time":"2019-11-24T11:30:00Z","to_time":"2019-11-24T11:50:00Z"}]`,
		"kr 10:50 11:20":     `[{"start_time":"2019-11-24T11:00:00Z","to_time":"2019-11-24T11:20:00Z"}]`,
		"kr 10:00 11:00":     `[]`,
		"phones 11:50 11:58": `[{"start_time":"2019-11-24T11:50:00Z","to_time":"2019-11-24T11:55:00Z"}]`,
	} {
		w := strings.Fields(ask)
		for _, path := range []string{"/v1/ads/a/aggregated_count?", "/v1/ads/a/aggregated_count?granularity=1m&", "/v1/ads/counts?ad_id=a&", "/v1/ads/top_clicked_ads?"} {
			r := get(t, fmt.Sprintf("%s%sfilter_identifier=%s&start_time=2019-11-24T%s:00Z&to_time=2019-11-24T%s:00Z", base, path, w[0], w[1], w[2]))
			var a struct {
				Held json.RawMessage `json:"filter_held"`
			}
			if err := json.Unmarshal([]byte(r.body), &a); err != nil || string(a.Held) != want {
				t.Errorf("%s %s: %s", path, ask, r.body)
			}
		}
	}
}

// Counts of a filter are answered while it holds and ever after; one that nobody knows
// is refused with those there are.
func TestFilterOfAQuestion(t *testing.T) {
	t.Parallel()
	base := start(t, filtered())
	for _, path := range []string{"/v1/ads/a/aggregated_count?last=4m", "/v1/ads/top_clicked_ads?last=4m", "/v1/export/counts?"} {
		for id, refused := range map[string]string{
			"000": "", "kr": "", "phones": "",
			"never": "there are 000, kr, phones", "": "there are 000, kr, phones", "phone": "did you mean phones?",
			strings.Repeat("x", 10_000): "there are 000, kr, phones",
		} {
			r := get(t, base+path+"&filter_identifier="+id)
			switch {
			case refused == "" && (r.StatusCode != 200 || !strings.Contains(path, "export") && !strings.Contains(r.body, fmt.Sprintf(`"filter_identifier":%q`, id))):
				t.Errorf("%s of %q: %d %s", path, id, r.StatusCode, r.body)
			case refused != "" && (r.StatusCode != 400 || !strings.Contains(r.body, refused) || !strings.Contains(r.body, "unknown_filter")):
				t.Errorf("%s of %.20q: %d %s", path, id, r.StatusCode, r.body)
			}
		}
	}
	f := filtered()
	for i := range 100 {
		f.filters = append(f.filters, storage.Filter{ID: fmt.Sprintf("z%02d", i), From: 0, Until: click.None})
	}
	r := get(t, start(t, f)+"/v1/ads/a/aggregated_count?filter_identifier=none")
	if strings.Contains(r.body, "z99") || !strings.Contains(r.body, "z60") || !strings.Contains(r.body, "see /v1/filters") {
		t.Errorf("of 102 filters: %s", r.body)
	}
}
