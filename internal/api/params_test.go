package api

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/calendar"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	now := noon.Add(123 * time.Millisecond)
	for text, want := range map[string]time.Time{
		"now":                       now,
		"-5m":                       now.Add(-5 * time.Minute),
		"now-5m":                    now.Add(-5 * time.Minute),
		"-1d12h":                    now.Add(-36 * time.Hour),
		"-7d":                       now.AddDate(0, 0, -7),
		"2019-11-24T12:00:00Z":      noon,
		"2019-11-24T13:30:00+01:30": noon,
		"2019-11-24T12:00:00.5Z":    noon.Add(500 * time.Millisecond),
		"1574596800":                noon,
		"1574596800000":             noon,
		"946684800":                 time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		"946684800000":              time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseTime("t", text, now); err != nil || got != want.UnixMilli() {
			t.Errorf("%q: got %v, %v; want %v", text, Time(got), err, want)
		}
	}
	for _, text := range []string{
		"", "-", "now-", "now5m", "now+5m", "+5m", "5m", "--5m", "-+5m", "-0s", "-0d", "-5", "-d", "-1d-1h", "-9999999d", "-65535d", "Now",
		"2019-11-24", "2019-11-24T12:00:00", "2019-11-24 12:00:00Z", "2019-11-24T2:00:00Z", "2019-11-24T12:00:60Z", "2019-02-30T12:00:00Z",
		"1574596800.5", "1e9", "0x5dda", "-1574596800", "1574596800000000", "99999999999999999999", "0", "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z",
		"2019-11-24T12:00:00,5Z", " now", "１",
	} {
		if got, err := parseTime("t", text, now); err == nil {
			t.Errorf("%q was read as %v", text, Time(got))
		}
	}
}

// A granularity is of whole windows.
func TestGranularity(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 3600)
	for _, test := range []struct {
		text   string
		window time.Duration
		want   int64 // ms of the first step after 1970, 0 when it is refused
	}{
		{"1m", time.Minute, 60_000},
		{"1m", 20 * time.Second, 60_000},
		{"1m", 7200 * time.Millisecond, 0},
		{"1m", 5 * time.Minute, 0},
		{"1h", 5 * time.Minute, 3_600_000},
		{"1d", time.Hour, 82_800_000},
		{"2h", time.Minute, 0},
		{"", time.Minute, 0},
	} {
		g, cut, err := params{"granularity": {test.text}}.granularity(calendar.New(berlin, test.window), test.window)
		var end int64
		if err == nil {
			end = cut.Step(0).To
		}
		if end != test.want || (err == nil) != (test.want > 0) || err == nil && g != test.text {
			t.Errorf("%q of windows of %v: a step ends at %d, %v, want %d", test.text, test.window, end, err, test.want)
		}
	}
}

// Whatever the query, it is refused with a problem of the client's, or makes a
// range within the limits.
func FuzzParams(f *testing.F) {
	for _, q := range []string{
		"", "last=5m", "start_time=-5m&to_time=now", "start_time=1574596800&to_time=1574596860000", "n=10&last=1d12h", "last=%zz",
		"start_time=2019-11-24T12:00:00%2B01:00", "last=5m&last=5m", "filter_identifier=000", "filter_identifier=1", "end=now", "last=9223372036854775807ns",
		"start_time=now-31d", "to_time=99999999999", "n=-1", "last=65535d65535h", "a;b", "n=1&%00=2", "last=2562047h",
	} {
		f.Add(q, int64(60))
	}
	f.Add("last=1h", int64(3600))
	f.Fuzz(func(t *testing.T, raw string, windowSeconds int64) {
		window := time.Duration(min(max(windowSeconds, 1), 3600)) * time.Second
		known := []string{"n", "start_time", "to_time", "last", "filter_identifier"}
		p, err := parseParams(raw, known)
		if err == nil {
			var from, to int64
			if from, to, err = p.span(noon, window); err == nil {
				if from >= to || to-from > rangeMax.Milliseconds() || to > noon.Add(futureMax).UnixMilli() || from < earliest-rangeMax.Milliseconds() {
					t.Errorf("%q: %v to %v", raw, Time(from), Time(to))
				}
			}
		}
		if n, nErr := p.n(); nErr == nil && (n < 1 || n > topMax) {
			t.Errorf("%q: n = %d", raw, n)
		}
		if err != nil {
			if p := problemOf(err); p.Status != 400 || p.Detail == "" || len(p.Detail) > 2000 {
				t.Errorf("%q: %v", raw, p)
			}
		}
	})
}

// A moment is read alike in whichever way it is written.
func FuzzParseTime(f *testing.F) {
	f.Add("now", int64(1574596800000))
	f.Add("-5m", int64(0))
	f.Add("2019-11-24T12:00:00Z", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, text string, ms int64) {
		if got, err := parseTime("t", text, noon); err == nil && (got < earliest || got >= latest) {
			t.Errorf("%q: %v", text, Time(got))
		}
		ms = earliest + int64(uint64(ms)%uint64(latest-earliest))
		for text, want := range map[string]int64{
			time.UnixMilli(ms).UTC().Format(time.RFC3339Nano):                         ms,
			time.UnixMilli(ms).In(time.FixedZone("", 5400)).Format(time.RFC3339Nano):  ms,
			time.UnixMilli(ms).In(time.FixedZone("", -3600)).Format(time.RFC3339Nano): ms,
			strconv.FormatInt(ms, 10):      ms,
			strconv.FormatInt(ms/1000, 10): ms / 1000 * 1000,
		} {
			if got, err := parseTime("t", text, noon); err != nil || got != want {
				t.Errorf("%s: got %d, %v; want %d", text, got, err, want)
			}
		}
	})
}
