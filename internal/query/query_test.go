package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2019, 11, 24, 12, 0, 0, 0, time.UTC)

func frame(status string, complete *time.Time, revision int64) api.Frame {
	return api.Frame{
		StartTime: noon.Add(-5 * time.Minute), ToTime: noon, Filter: "000", Status: status, CompleteUntil: complete, Revision: revision,
	}
}

// say is an API that always gives one answer, and the last question it got.
func say(t *testing.T, status int, answer any) (c *client.Client, asked *string) {
	t.Helper()
	asked = new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = r.URL.String()
		media := "application/json"
		if status >= 400 {
			media = "application/problem+json"
		} else if _, ok := answer.(api.ClicksLine); ok {
			media = "application/x-ndjson"
		}
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}))
	c, err := client.New(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c, asked
}

func check(t *testing.T, got string, err error, want string) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("got (%v)\n%s\nwant\n%s", err, got, want)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	answer := api.Count{AdID: "ad\x1b[31m,1", Count: 1234, Frame: frame(api.Final, &noon, 2)}
	for output, want := range map[string]string{
		"": "ad\uFFFD[31m,1  1,234 clicks\n2019-11-24T11:55:00Z to 2019-11-24T12:00:00Z, final, corrected (revision 2)\n",
		CSV: "ad_id,count,start_time,to_time,status,revision\n" +
			"\"ad\x1b[31m,1\",1234,2019-11-24T11:55:00Z,2019-11-24T12:00:00Z,final,2\n",
		JSON: `{
  "ad_id": "ad\u001b[31m,1",
  "count": 1234,
  "start_time": "2019-11-24T11:55:00Z",
  "to_time": "2019-11-24T12:00:00Z",
  "filter_identifier": "000",
  "status": "final",
  "complete_until": "2019-11-24T12:00:00Z",
  "revision": 2
}
`,
	} {
		c, asked := say(t, 200, answer)
		var b bytes.Buffer
		err := Count(t.Context(), c, CountOptions{Ads: []string{"x/y"}, Range: client.Range{Last: "5m"}, Output: output}, &b)
		check(t, b.String(), err, want)
		if *asked != "/v1/ads/x%2Fy/aggregated_count?last=5m" {
			t.Errorf("asked %s", *asked)
		}
	}
}

func TestProvisional(t *testing.T) {
	t.Parallel()
	early := noon.Add(-time.Minute - 500*time.Millisecond)
	for complete, want := range map[*time.Time]string{
		nil:    "a  1 click\n2019-11-24T11:55:00Z to 2019-11-24T12:00:00Z, provisional: no window is complete yet\n",
		&early: "a  1 click\n2019-11-24T11:55:00Z to 2019-11-24T12:00:00Z, provisional: complete until 2019-11-24T11:58:59.5Z\n",
	} {
		c, _ := say(t, 200, api.Count{AdID: "a", Count: 1, Frame: frame(api.Provisional, complete, 1)})
		var b bytes.Buffer
		err := Count(t.Context(), c, CountOptions{Ads: []string{"a"}}, &b)
		check(t, b.String(), err, want)
	}
}

func TestTop(t *testing.T) {
	t.Parallel()
	answer := api.Top{
		Ads:   []api.AdCount{{AdID: "a-rather-long-id-of-an-ad", Count: 12345}, {AdID: "日本の広告", Count: 9}, {AdID: "\u202eevil", Count: 8}},
		Exact: true, Frame: frame(api.Final, &noon, 1),
	}
	const last = "2019-11-24T11:55:00Z to 2019-11-24T12:00:00Z, final\n"
	for _, test := range []struct {
		o    TopOptions
		want string
	}{
		{TopOptions{N: 3, Range: client.Range{Last: "5m"}}, `RANK  CLICKS  AD
   1  12,345  a-rather-long-id-of-an-ad
   2       9  日本の広告
   3       8  �evil
` + last},
		{TopOptions{Output: Table, Width: 25}, `RANK  CLICKS  AD
   1  12,345  a-rat…an-ad
   2       9  日本の広告
   3       8  �evil
` + last},
		{TopOptions{Output: Table, Width: 3}, `RANK  CLICKS  AD
   1  12,345  a-ra…-ad
   2       9  日本…告
   3       8  �evil
` + last},
		{TopOptions{Output: CSV}, "rank,ad_id,count\n1,a-rather-long-id-of-an-ad,12345\n2,日本の広告,9\n3,\u202eevil,8\n"},
	} {
		c, asked := say(t, 200, answer)
		var b bytes.Buffer
		err := Top(t.Context(), c, test.o, &b)
		check(t, b.String(), err, test.want)
		if test.o.N != 0 && *asked != "/v1/ads/top_clicked_ads?last=5m&n="+strconv.Itoa(test.o.N) {
			t.Errorf("asked %s", *asked)
		}
	}
	c, _ := say(t, 200, api.Top{Frame: frame(api.Final, &noon, 0)})
	var b bytes.Buffer
	err := Top(t.Context(), c, TopOptions{}, &b)
	check(t, b.String(), err, "no clicks\n"+last)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	mark := noon.Add(-15 * time.Second)
	s := api.Status{
		At: noon, CompleteUntil: &mark, HoldsBack: "clicks/1: its mapper is \x07away",
		Roles: []api.Role{
			{Name: "mapper", Partitions: []api.Partition{
				{Topic: "clicks", State: "running", Next: 5000, End: 5010, Lag: 10, Watermark: &mark},
				{Topic: "clicks", Partition: 1, State: "away", Next: -1, End: -1, Lag: -1, HoldsBack: "no instance reads it since 11:59:12"},
			}},
			{Name: "aggregator", Partitions: []api.Partition{
				{Topic: "clickagg.shuffle", State: "running", Next: 70, End: 70, Watermark: &mark, WindowsOpen: 6, IDs: 1234567, Ads: 98},
			}},
		},
		Accounting: []api.Accounting{
			{Source: "clicks/0", Received: 5000, Counted: 4800, Duplicate: 100, Late: 40, Rejected: 50, Marks: 1, Pending: 9, Holds: true},
			{Source: "clicks/1", Received: 5000, Counted: 4999},
			{Source: "clicks/2", Received: 1, Counted: 2},
			{Source: "clicks/3", Holds: true},
		},
		Rejected: map[string]int64{"malformed": 1047, "bad_time": 3},
	}
	c, asked := say(t, 200, s)
	var b bytes.Buffer
	err := Status(t.Context(), c, StatusOptions{Width: 140}, &b)
	check(t, b.String(), err, `complete until 2019-11-24T11:59:45Z; held back by clicks/1: its mapper is �away

ROLE        PARTITION           STATE     NEXT    END  LAG  WATERMARK             OPEN        IDS  ADS  HELD BACK BY
mapper      clicks/0            running  5,000  5,010   10  2019-11-24T11:59:45Z
mapper      clicks/1            away         ?      ?    ?                                              no instance reads it since 11:59:12
aggregator  clickagg.shuffle/0  running     70     70    0  2019-11-24T11:59:45Z     6  1,234,567   98

✓ clicks/0: received 5,000 = counted 4,800 + duplicate 100 + late 40 + rejected 50 + marks 1 + pending 9
✗ clicks/1: received 5,000 ≠ counted 4,999: 1 missing
✗ clicks/2: received 1 ≠ counted 2: 1 too many
✓ clicks/3: received 0 = 0
rejected: bad_time 3, malformed 1,047
`)
	if *asked != "/v1/status" {
		t.Errorf("asked %s", *asked)
	}
	if got, want := partitions(s.Roles).render(80), `ROLE        PARTITI…  STATE    LAG  WATERMARK             OPEN  HELD BACK BY
mapper      clicks/0  running   10  2019-11-24T11:59:45Z
mapper      clicks/1  away       ?                              no instance reads it since 11:59:12
aggregator  clickag…  running    0  2019-11-24T11:59:45Z     6
`; got != want {
		t.Errorf("on a narrow terminal: got\n%s\nwant\n%s", got, want)
	}
	b.Reset()
	if err := Status(t.Context(), c, StatusOptions{Output: JSON}, &b); err != nil {
		t.Fatal(err)
	}
	var back api.Status
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Roles) != 2 || back.Roles[0].Partitions[1] != s.Roles[0].Partitions[1] {
		t.Errorf("%s: %v", b.String(), err)
	}
	b.Reset()
	err = Status(t.Context(), c, StatusOptions{Output: CSV}, &b)
	check(t, b.String(), err, `role,topic,partition,group,state,next,end,lag,watermark,holds_back
mapper,clicks,0,,running,5000,5010,10,2019-11-24T11:59:45Z,
mapper,clicks,1,,away,-1,-1,-1,,no instance reads it since 11:59:12
aggregator,clickagg.shuffle,0,,running,70,70,0,2019-11-24T11:59:45Z,
`)
	c, _ = say(t, 200, api.Status{})
	b.Reset()
	err = Status(t.Context(), c, StatusOptions{}, &b)
	check(t, b.String(), err, "no window is complete yet\n")
}

func TestLineage(t *testing.T) {
	t.Parallel()
	answer := api.Lineage{
		StartTime: noon, ToTime: noon.Add(time.Minute), State: "corrected", Version: 812, Reducer: 1, Reducers: 2,
		Shards: []api.ShardPosition{{Position: 1234}, {Shard: 1, Position: 9}},
		Sources: []api.Origin{
			{TopicID: "00ff", Heard: 310, Settled: 306, Accounting: api.Accounting{Source: "clicks/\x1b3", Received: 5, Counted: 4, Late: 1, Holds: true}},
			{TopicID: "00ff", Accounting: api.Accounting{Source: "clicks/4", Received: 5, Counted: 4}},
		},
	}
	c, asked := say(t, 200, answer)
	var b bytes.Buffer
	err := Lineage(t.Context(), c, LineageOptions{Minute: "-5m"}, &b)
	check(t, b.String(), err, `2019-11-24T12:00:00Z to 2019-11-24T12:01:00Z, corrected, version 812 of reducer 1/2

SHARD  POSITION
    0     1,234
    1         9

SOURCE     HEARD  SETTLED  TOPIC ID
clicks/�3    310      306  00ff
clicks/4       0        0  00ff

✓ clicks/�3: received 5 = counted 4 + late 1
✗ clicks/4: received 5 ≠ counted 4: 1 missing
`)
	if *asked != "/v1/lineage?start_time=-5m" {
		t.Errorf("asked %s", *asked)
	}
	b.Reset()
	var back api.Lineage
	err = Lineage(t.Context(), c, LineageOptions{Minute: "-5m", Output: JSON}, &b)
	if err := errors.Join(err, json.Unmarshal(b.Bytes(), &back)); err != nil || back.Sources[0] != answer.Sources[0] {
		t.Errorf("%s: %v", b.String(), err)
	}
	b.Reset()
	err = Lineage(t.Context(), c, LineageOptions{Minute: "-5m", Output: CSV}, &b)
	check(t, b.String(), err, "source,topic_id,heard,settled,received,counted,duplicate,conflict,late,rejected,crowded,stale,marks\n"+
		"clicks/\x1b3,00ff,310,306,5,4,0,0,1,0,0,0,0\nclicks/4,00ff,0,0,5,4,0,0,0,0,0,0,0\n")
	c, _ = say(t, 400, api.Problem{Status: 400, Detail: "start_time is no time", Parameter: "start_time"})
	if err := Lineage(t.Context(), c, LineageOptions{Minute: "x"}, io.Discard); !errors.Is(err, ErrUsage) || err.Error() != "--minute: start_time is no time" {
		t.Errorf("got %v", err)
	}
}

func TestFilterThatDidNotHold(t *testing.T) {
	t.Parallel()
	f := frame(api.Final, &noon, 1)
	f.Filter = "de"
	early := api.Stretch{StartTime: noon.Add(-5 * time.Minute), ToTime: noon.Add(-3 * time.Minute)}
	late := api.Stretch{StartTime: early.ToTime, ToTime: noon}
	for want, held := range map[string][]api.Stretch{
		"held at no time of it": {},
		"held from 2019-11-24T11:55:00Z to 2019-11-24T11:57:00Z only":                                                                             {early},
		"held from 2019-11-24T11:55:00Z to 2019-11-24T11:57:00Z, and with another meaning from 2019-11-24T11:57:00Z to 2019-11-24T12:00:00Z only": {early, late},
	} {
		f.Held = &held
		if got := describe(&f); !strings.HasSuffix(got, "final\nthe filter de "+want) {
			t.Errorf("got %s", got)
		}
	}
}

func TestErrorsNameTheFlag(t *testing.T) {
	t.Parallel()
	c, _ := say(t, 400, api.Problem{Status: 400, Detail: `start_time is "x", which is not a time`, Parameter: "start_time"})
	countErr := Count(t.Context(), c, CountOptions{Ads: []string{"a"}}, io.Discard)
	topErr := Top(t.Context(), c, TopOptions{}, io.Discard)
	exportErr := Export(t.Context(), c, ExportOptions{}, io.Discard)
	for _, err := range []error{countErr, topErr, exportErr} {
		if _, ok := errors.AsType[*client.Refused](err); !ok || err.Error() != `--from: start_time is "x", which is not a time` {
			t.Errorf("got %v", err)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	c, asked := say(t, 200, nil)
	for _, err := range []error{
		Count(t.Context(), c, CountOptions{Ads: []string{"a"}, Output: "xml"}, io.Discard),
		Count(t.Context(), c, CountOptions{}, io.Discard),
		Count(t.Context(), c, CountOptions{Ads: []string{"a", ""}}, io.Discard),
		Count(t.Context(), c, CountOptions{Ads: []string{"a", "b"}, Granularity: "1m"}, io.Discard),
		Top(t.Context(), c, TopOptions{Output: "yaml"}, io.Discard),
		Top(t.Context(), c, TopOptions{N: -1}, io.Discard),
		Lineage(t.Context(), c, LineageOptions{Minute: "now", Output: "xml"}, io.Discard),
		Lineage(t.Context(), c, LineageOptions{}, io.Discard),
		Export(t.Context(), c, ExportOptions{Output: Table}, io.Discard),
		Status(t.Context(), c, StatusOptions{Output: "xml"}, io.Discard),
	} {
		if !errors.Is(err, ErrUsage) {
			t.Errorf("got %v", err)
		}
	}
	if *asked != "" {
		t.Errorf("asked %s", *asked)
	}
}

// stream is an API that exports text, whole or not.
func stream(t *testing.T, status, text string, whole bool) *client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson") // which an export does not look at
		w.Header().Set(api.HeaderStatus, status)
		w.Header().Set(api.HeaderCompleteUntil, noon.Format(time.RFC3339))
		_, _ = io.WriteString(w, text)
		if !whole {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	c, err := client.New(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c
}

const someCSV = "ad_id,minute,count\na,2019-11-24T11:59:00Z,1\nb,2019-11-24T11:59:00Z,2\n"

func TestExport(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ status, output, text, says string }{
		{api.Final, CSV, someCSV, "2 rows"},
		{api.Provisional, "", someCSV, "provisional: complete until 2019-11-24T12:00:00Z\n"},
		{api.Final, JSON, "{}\n{}\n{}\n", "3 rows"},
		{api.Final, CSV, "", "0 rows"},
	} {
		var out, shown bytes.Buffer
		o := ExportOptions{Output: test.output, Progress: progress.Start(&shown, false, 0, "rows")}
		err := Export(t.Context(), stream(t, test.status, test.text, true), o, &out)
		check(t, out.String(), err, test.text)
		if !strings.Contains(shown.String(), test.says) {
			t.Errorf("showed %q, want %q", shown.String(), test.says)
		}
	}
}

func TestExportToFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "counts.csv")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Export(t.Context(), stream(t, api.Final, someCSV, false), ExportOptions{File: name}, nil)
	if !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(name); string(got) != "old" {
		t.Errorf("an export that broke off left %q", got)
	}
	if err := Export(t.Context(), stream(t, api.Final, someCSV, true), ExportOptions{File: name}, nil); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(name); string(got) != someCSV {
		t.Errorf("got %q", got)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	if err := Export(t.Context(), stream(t, api.Final, "x\n", true), ExportOptions{File: link}, nil); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(name); string(got) != "x\n" {
		t.Errorf("through a link: %q", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left %v", left)
	}
}

func TestWidthOfNoTerminal(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Width(f) != 0 || Width(&bytes.Buffer{}) != 0 {
		t.Error("a file or buffer has no width")
	}
}
