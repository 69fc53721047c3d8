package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// visitor is a click that was produced, as a filter sees it.
type visitor struct {
	ad, country, device string
	minute              int64 // start, Unix ms
	message             stream.Message
}

// audience produces clicks minute by minute, and remembers them.
type audience struct {
	s       *server
	log     stream.Log
	random  *rand.Rand
	start   time.Time
	minutes int
	clicks  []visitor
	sent    int64
}

// minute produces the clicks of one event minute, out of order with the last one's,
// and repeats some of the clicks of the last minutes.
func (a *audience) minute(ctx context.Context) {
	a.s.t.Helper()
	const each, repeats = 150, 20
	var out []stream.Message
	for range each {
		at := a.start.UnixMilli() + int64(a.minutes)*60_000 + int64(a.random.IntN(70_000)) - 10_000
		v := visitor{
			ad: fmt.Sprintf("ad%d", a.random.IntN(7)), country: []string{"KR", "US", "DE"}[a.random.IntN(3)],
			device: []string{"ios", "android", "desktop"}[a.random.IntN(3)], minute: at - at%60_000,
		}
		v.message = stream.Message{Partition: int32(a.random.IntN(4)), Value: fmt.Appendf(nil,
			`{"event_id":"%d","ad_id":%q,"ts":%d,"country":%q,"device":%q}`, len(a.clicks), v.ad, at, v.country, v.device)}
		a.clicks = append(a.clicks, v)
		out = append(out, v.message)
	}
	for range repeats {
		old := a.clicks[max(0, len(a.clicks)-1-a.random.IntN(4*each))].message
		old.Partition = int32(a.random.IntN(4))
		out = append(out, old)
	}
	if err := a.log.Append(ctx, "clicks", out); err != nil {
		a.s.t.Fatal(err)
	}
	a.sent += int64(len(out))
	a.minutes++
}

// cell is a count's name.
type cell struct {
	filter, ad string
	minute     int64
}

// truth counts the clicks under the filters that hold for their minutes.
func (a *audience) truth(change int64) map[cell]int64 {
	out := map[cell]int64{}
	for _, v := range a.clicks {
		kr, phones, all := v.country == "KR", v.device == "ios", true
		if v.minute >= change {
			kr, phones, all = kr && v.device != "desktop", v.device == "ios" || v.device == "android", false
		}
		for id, passed := range map[string]bool{click.FilterAll: true, "kr": kr, "phones": phones && v.minute >= change, "everyone": all} {
			if passed {
				out[cell{id, v.ad, v.minute}]++
			}
		}
	}
	return out
}

// get asks the API.
func (s *server) get(ctx context.Context, path string) (body []byte, status int) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.api+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err = io.ReadAll(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return body, resp.StatusCode
}

// filters are those the API knows.
func (s *server) filters(ctx context.Context) []api.Filter {
	s.t.Helper()
	var list struct{ Filters []api.Filter }
	body, status := s.get(ctx, "/v1/filters")
	if err := json.Unmarshal(body, &list); err != nil || status != http.StatusOK {
		s.t.Fatalf("filters: %d %s", status, body)
	}
	return list.Filters
}

const (
	filtersBefore = `
filters:
  - {id: kr, name: Korea, where: 'country == "KR"'}
  - {id: everyone, name: Every click, where: 'ad_id startsWith "ad"'}
`
	filtersAfter = `
hot: {threshold: 123456}
filters:
  - {id: kr, name: Korea, where: 'country == "KR" and device != "desktop"'}
  - {id: phones, name: Phones, where: 'device in ["ios", "android"]'}
`
)

// TestFiltersChange: filters are counted per ad and minute from the beginning; others
// that a reload brings hold from a minute that is told, for every click of it, repeats
// across it and a killed process included. What held before keeps its counts.
func TestFiltersChange(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	config := filepath.Join(t.TempDir(), "clickagg.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filtersBefore)
	s := running(ctx, t, "--config", config, "--aggregator.tick", "100ms", "--mapper.heartbeat", "100ms")
	a := &audience{s: s, log: s.dial(ctx), random: rand.New(rand.NewPCG(3, 4)), start: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}
	for range 5 {
		a.minute(ctx)
	}
	s.settled(ctx, a.sent)

	// Case: a file that is wrong changes nothing.
	write(filtersBefore + "  - {id: bad, where: 'country = 1'}\n")
	s.signal(syscall.SIGHUP)
	s.logged(ctx, "was not reloaded", "filters")
	write(filtersAfter)
	s.signal(syscall.SIGHUP)
	s.logged(ctx, "filters applied", "these keys keep their values", "hot.threshold")
	var change time.Time
	s.eventually(ctx, "the filters are known", func() error {
		list := s.filters(ctx)
		for _, f := range list {
			if f.ID == "phones" && f.Until == nil {
				change = f.Since
				return nil
			}
		}
		return fmt.Errorf("%+v", list)
	})
	if last := a.start.Add(time.Duration(a.minutes) * time.Minute); change.Before(last) {
		t.Fatalf("the change, at %v, is before what was mapped, %v", change, last)
	}
	until := int(change.Sub(a.start)/time.Minute) + 6
	if until > 200 {
		t.Fatalf("filters hold from %v, long after %v", change, a.start)
	}
	for a.minutes < until {
		if a.minutes == until-3 {
			s.kill()
			s.start()
			s.ready(ctx)
		}
		a.minute(ctx)
	}
	s.finish(ctx, a)
	s.counts(ctx, a.truth(change.UnixMilli()))
	if text := s.must("audit", "--from", a.start.Add(-time.Minute).Format(time.RFC3339), "--to", a.start.Add(time.Duration(a.minutes+1)*time.Minute).Format(time.RFC3339)); !strings.Contains(text, "✓ the counts of every minute") {
		t.Error(text)
	}

	// Case: a filter that never was is none.
	if body, status := s.get(ctx, "/v1/ads/ad1/aggregated_count?filter_identifier=phone"); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, body)
	} else {
		contains(t, string(body), "did you mean phones?", "there are 000, everyone, kr, phones")
	}
	stdout, stderr, status := run(t, "filter", "list", "--embedded.listen", s.broker)
	if status != 0 {
		t.Fatal(stderr)
	}
	contains(t, stdout, "everyone  Every click  1970-01-01T00:00:00Z  "+change.Format(time.RFC3339), "phones    Phones       "+change.Format(time.RFC3339))

	s.overruled(ctx, config)
}

// overruled has an operator say other filters than the process is configured with.
func (s *server) overruled(ctx context.Context, config string) {
	t := s.t
	t.Helper()
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filtersBefore)
	var stdout string
	for range 2 {
		out, stderr, status := run(t, "filter", "apply", "--config", config, "--embedded.listen", s.broker)
		if status != 0 {
			t.Fatal(stderr)
		}
		stdout = out
	}
	contains(t, stdout, "these 2 filters hold already, for clicks from ")
	s.logged(ctx, "other filters hold than this process is configured with", `"only_there": "everyone"`, `"only_here": "phones"`, `"differ": "kr"`)
	write("log: {level: info}\n")
	if _, stderr, status := run(t, "filter", "apply", "--config", config, "--embedded.listen", s.broker); status != 2 || !strings.Contains(stderr, "write filters: []") {
		t.Errorf("without filters: status %d: %s", status, stderr)
	}
}

// signal sends the process a signal.
func (s *server) signal(which os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(which); err != nil {
		s.t.Fatal(err)
	}
}

// logged waits until all words stand in the process's log.
func (s *server) logged(ctx context.Context, words ...string) {
	s.t.Helper()
	s.eventually(ctx, fmt.Sprintf("%q in the log", words), func() error {
		text, err := os.ReadFile(s.out.Name())
		if err != nil {
			return err
		}
		for _, w := range words {
			if !strings.Contains(string(text), w) {
				return fmt.Errorf("%q is not there", w)
			}
		}
		return nil
	})
}

// finish closes the minutes that were produced, and waits for them.
func (s *server) finish(ctx context.Context, a *audience) {
	s.t.Helper()
	end := a.start.Add(time.Duration(a.minutes+1) * time.Minute).UnixMilli()
	var marks []stream.Message
	for p := range int32(4) {
		marks = append(marks, stream.Message{Partition: p, Headers: []click.Header{{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, end, 10)}}})
	}
	if err := a.log.Append(ctx, "clicks", marks); err != nil {
		s.t.Fatal(err)
	}
	s.completeUntil(ctx, end)
	if sum := s.settled(ctx, a.sent+4); sum.Counted != int64(len(a.clicks)) {
		s.t.Errorf("%d clicks: %+v", len(a.clicks), sum)
	}
}

// counts compares all counts under all filters with what they must be.
func (s *server) counts(ctx context.Context, want map[cell]int64) {
	t := s.t
	t.Helper()
	filters := map[string]bool{}
	for c := range want {
		filters[c.filter] = true
	}
	got := map[cell]int64{}
	for id := range filters {
		body, status := s.get(ctx, "/v1/export/counts?format=csv&filter_identifier="+id)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", id, status, body)
		}
		for _, r := range rows(t, string(body)) {
			at, err := time.Parse(time.RFC3339, r.Minute)
			if err != nil {
				t.Fatal(err)
			}
			got[cell{id, r.AdID, at.UnixMilli()}] = r.Count
		}
	}
	if maps.Equal(got, want) {
		return
	}
	wrong := 0
	for c, n := range want {
		if got[c] != n && wrong < 10 {
			wrong++
			t.Errorf("%s of %s in %s: %d, want %d", c.filter, c.ad, time.UnixMilli(c.minute).UTC(), got[c], n)
		}
		delete(got, c)
	}
	for c, n := range got {
		if want[c] == 0 {
			t.Errorf("%s of %s in %s: %d, want none", c.filter, c.ad, time.UnixMilli(c.minute).UTC(), n)
		}
	}
}
