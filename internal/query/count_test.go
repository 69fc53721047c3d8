package query

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
)

const finalFrame = "2019-11-24T11:55:00Z to 2019-11-24T12:00:00Z, final\n"

func TestCountMany(t *testing.T) {
	t.Parallel()
	answer := api.Counts{
		Ads:   []api.AdTotal{{AdID: "shoes-42", Count: 1234, Status: api.Final, Revision: 2}, {AdID: "hats", Count: 1, Status: api.Final, Revision: 1}},
		Frame: frame(api.Final, &noon, 1),
	}
	for _, test := range []struct {
		o    CountOptions
		want string
	}{
		{CountOptions{}, "CLICKS  AD\n 1,234  shoes-42\n     1  hats\n" + finalFrame},
		{CountOptions{Width: 14}, "CLICKS  AD\n 1,234  shoes-42\n     1  hats\n" + finalFrame},
		{CountOptions{Output: CSV}, "ad_id,count,start_time,to_time,status,revision\n" +
			"shoes-42,1234,2019-11-24T11:55:00Z,2019-11-24T12:00:00Z,final,2\nhats,1,2019-11-24T11:55:00Z,2019-11-24T12:00:00Z,final,1\n"},
		{CountOptions{Output: CSV, Again: true}, "shoes-42,1234,2019-11-24T11:55:00Z,2019-11-24T12:00:00Z,final,2\nhats,1,2019-11-24T11:55:00Z,2019-11-24T12:00:00Z,final,1\n"},
	} {
		c, asked := say(t, 200, answer)
		var b bytes.Buffer
		test.o.Ads, test.o.Range = []string{"shoes-42", "hats"}, client.Range{Last: "5m"}
		err := Count(t.Context(), c, test.o, &b)
		check(t, b.String(), err, test.want)
		if *asked != "/v1/ads/counts?ad_id=shoes-42&ad_id=hats&last=5m" {
			t.Errorf("asked %s", *asked)
		}
	}
}

func TestCountSteps(t *testing.T) {
	t.Parallel()
	minute := func(n, count int64, status string) api.Step {
		at := noon.Add(time.Duration(n-5) * time.Minute)
		return api.Step{StartTime: at, ToTime: at.Add(time.Minute), Count: count, Status: status, Revision: 1}
	}
	answer := api.Count{
		AdID: "a", Count: 1002, Granularity: "1m", Series: &[]api.Step{minute(0, 1000, api.Final), minute(2, 2, api.Provisional)}, Frame: frame(api.Final, &noon, 1),
	}
	for _, test := range []struct {
		o      CountOptions
		answer api.Count
		want   string
	}{
		{CountOptions{}, answer, `FROM                  CLICKS  STATUS
2019-11-24T11:55:00Z   1,000  final
2019-11-24T11:57:00Z       2  provisional
a  1,002 clicks
` + finalFrame},
		{CountOptions{Width: 30}, answer, `FROM                  CLICKS
2019-11-24T11:55:00Z   1,000
2019-11-24T11:57:00Z       2
a  1,002 clicks
` + finalFrame},
		{CountOptions{Output: CSV}, answer, "ad_id,count,start_time,to_time,status,revision\n" +
			"a,1000,2019-11-24T11:55:00Z,2019-11-24T11:56:00Z,final,1\na,2,2019-11-24T11:57:00Z,2019-11-24T11:58:00Z,provisional,1\n"},
		{CountOptions{}, api.Count{AdID: "a", Series: &[]api.Step{}, Frame: answer.Frame}, "a  0 clicks\n" + finalFrame},
	} {
		c, asked := say(t, 200, test.answer)
		var b bytes.Buffer
		test.o.Ads, test.o.Granularity = []string{"a"}, "1m"
		err := Count(t.Context(), c, test.o, &b)
		check(t, b.String(), err, test.want)
		if *asked != "/v1/ads/a/aggregated_count?granularity=1m" {
			t.Errorf("asked %s", *asked)
		}
	}
}

// What is cut in its middle keeps both ends, never half a letter, and the width.
func TestShortenInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"abcdefghij", 10, "abcdefghij"},
		{"abcdefghij", 9, "abcd…ghij"},
		{"abcdefghij", 8, "abcd…hij"},
		{"abcdefghij", 1, "…"},
		{"日本の広告です", 9, "日本…です"},
		{"日本の広告です", 8, "日本…す"},
		{"ae\u0301bcde\u0301f", 5, "ae\u0301…e\u0301f"},
		{strings.Repeat("👩‍👧", 9), 5, "👩‍👧…👩‍👧"},
	} {
		if got := shorten(c.text, c.width, true); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}
