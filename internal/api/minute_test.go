package api

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMinute(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	lineage := strings.TrimSpace(get(t, at+"/v1/lineage?start_time=2019-11-24T11:58:00Z").body)
	for path, want := range map[string]string{
		"2019-11-24T11:58:59Z": `{"start_time":"2019-11-24T11:58:00Z","to_time":"2019-11-24T11:59:00Z","status":"final",` +
			`"complete_until":"2019-11-24T11:59:00Z","waiting_for":[],"account":{"received":10,"marks":1,"late":1,"rejected":0,"counted":3,` +
			`"duplicate":1,"conflict":1,"crowded":1,"stale":1,"pending":0,"holds":false},"lineage":` + lineage + `}`,
		"1574596740": `{"start_time":"2019-11-24T11:59:00Z","to_time":"2019-11-24T12:00:00Z","status":"provisional",` +
			`"complete_until":"2019-11-24T11:59:00Z","waiting_for":[{"part":"store","reason":"the last marks of completeness are on their way"}],` +
			`"account":null,"lineage":null}`,
		"now": `{"start_time":"2019-11-24T12:00:00Z","to_time":"2019-11-24T12:01:00Z","status":"provisional",` +
			`"complete_until":"2019-11-24T11:59:00Z","waiting_for":[{"part":"clock","reason":"the window ends at 2019-11-24T12:01:00Z"}],` +
			`"account":null,"lineage":null}`,
	} {
		r := get(t, at+"/v1/minutes/"+path)
		if r.StatusCode != 200 || strings.TrimSpace(r.body) != want {
			t.Errorf("%s: HTTP %d\n got %s\nwant %s", path, r.StatusCode, r.body, want)
		}
	}
}

// The first stage that has not got there is what all others wait for.
func TestWaitingFor(t *testing.T) {
	t.Parallel()
	before, then := noon.Add(-time.Minute), noon
	part := func(topic string, watermark *time.Time, lag int64, group, holds string) Partition {
		return Partition{Topic: topic, Watermark: watermark, Lag: lag, Group: group, HoldsBack: holds}
	}
	done := Role{Name: "mapper", Partitions: []Partition{part("clicks", &then, 9, "", "")}}
	for _, test := range []struct {
		name  string
		roles []Role
		want  []Unready
	}{
		{"a source never had a click", []Role{
			{Name: "mapper", Partitions: []Partition{part("clicks", nil, 0, "", "never had a click"), part("views", &then, 0, "", "")}},
			{Name: "aggregator", Partitions: []Partition{part("shuffle", &before, 0, "", "clicks/0")}},
		}, []Unready{{"mapper clicks/0", "never had a click"}}},
		{"a source is behind", []Role{{Name: "mapper", Partitions: []Partition{part("clicks", &before, 5, "", "")}}},
			[]Unready{{"mapper clicks/0", "its watermark is at 2019-11-24T11:59:00Z"}}},
		{"a standby is there already", []Role{
			done, {Name: "aggregator", Partitions: []Partition{part("shuffle", &before, 0, "", "x"), part("shuffle", &then, 0, "b", "y")}},
		}, []Unready{{"store", "the last marks of completeness are on their way"}}},
		{"the writer has yet to read", []Role{done, {Name: "writer", Partitions: []Partition{part("results", nil, 7, "", ""), part("rankings", nil, 0, "", "")}}},
			[]Unready{{"writer results/0", "7 records are yet to be read"}}},
		{"the store is away", []Role{done, {Name: "writer", Partitions: []Partition{part("results", nil, 0, "", "no hosts")}}},
			[]Unready{{"writer results/0", "no hosts"}}},
		{"raw records are not waited for", []Role{done, {Name: "raw", Partitions: []Partition{part("clicks", nil, 7, "", "")}}},
			[]Unready{{"store", "the last marks of completeness are on their way"}}},
	} {
		if got := waitingFor(&Status{Roles: test.roles}, noon.Add(time.Hour), noon); !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}
