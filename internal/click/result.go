package click

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Result is one record of the public results topic: the count of one ad in one
// window under one filter. Its key is the ad; its value is JSON:
//
//	{"ad_id":"a","window_start":"2019-11-24T00:00:00Z","window_ms":60000,"filter":"000",
//	 "count":17,"digest":"9f86d081884c7d65","revision":1,"state":"final","version":812}
//
// The digest, of the identities of the clicks that are counted, is 16 hexadecimal digits, and left out
// where it is unknown or there are no clicks.
//
// A reader keeps, per (ad, window, filter), the result of the greatest version;
// receiving one twice is not an event. Revision grows only when a count that was
// called final changes.
type Result struct {
	Ad       []byte
	Start    int64 // Unix ms
	Size     int64 // ms
	Filter   string
	Count    int64
	Digest   uint64 // of the clicks, see [Sum]
	Revision int64
	State    State
	Version  int64
}

// Count is a number of clicks and what it is worth.
type Count struct {
	Sum
	Standing
}

// Standing is what a count or a list is worth.
type Standing struct {
	State    State
	Revision int64
}

// Ended tells whether it can be that of a window that has ended: final at the first revision, corrected at all others.
func (s Standing) Ended() bool {
	return s.State == Final && s.Revision == 1 || s.State == Corrected && s.Revision > 1
}

// Sum is what the ad has.
func (r *Result) Sum() Sum { return Sum{r.Count, r.Digest} }

// AppendJSON encodes the result as the value of its record.
func (r *Result) AppendJSON(b []byte) []byte {
	b = append(b, `{"ad_id":`...)
	b = AppendJSONString(b, r.Ad)
	b = append(b, `,"window_start":"`...)
	b = AppendStart(b, r.Start)
	b = append(b, `","window_ms":`...)
	b = strconv.AppendInt(b, r.Size, 10)
	b = append(b, `,"filter":`...)
	b = AppendJSONString(b, r.Filter)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, r.Count, 10)
	if r.Digest != 0 {
		b = append(b, `,"digest":"`...)
		b = appendDigest(b, r.Digest)
		b = append(b, '"')
	}
	b = append(b, `,"revision":`...)
	b = strconv.AppendInt(b, r.Revision, 10)
	b = append(b, `,"state":"`...)
	b = append(b, r.State.String()...)
	b = append(b, `","version":`...)
	b = strconv.AppendInt(b, r.Version, 10)
	return append(b, '}')
}

// Ranking is one record of the rankings topic: the ranked list of one window
// under one filter. Its key is the window's start in RFC 3339 and the filter,
// its value JSON with the fields below. As with results, the greatest version wins.
type Ranking struct {
	Start    int64
	Size     int64
	Filter   string
	State    State
	Revision int64
	Version  int64
	Clicks   int64 // all clicks in the window, also those of ads below the list
	Ads      int64 // all ads with a click in the window
	Top      []Row // greater count first, then ad by bytes
}

type rankingJSON struct {
	Start    string    `json:"window_start"`
	Size     int64     `json:"window_ms"`
	Filter   string    `json:"filter"`
	State    string    `json:"state"`
	Revision int64     `json:"revision"`
	Version  int64     `json:"version"`
	Clicks   int64     `json:"clicks"`
	Ads      int64     `json:"ads"`
	Top      []rowJSON `json:"top"`
}

type rowJSON struct {
	Ad    string `json:"ad_id"`
	Count int64  `json:"count"`
}

// AppendJSON encodes the ranking as the value of its record.
func (r *Ranking) AppendJSON(b []byte) []byte {
	b = append(b, `{"window_start":"`...)
	b = AppendStart(b, r.Start)
	b = append(b, `","window_ms":`...)
	b = strconv.AppendInt(b, r.Size, 10)
	b = append(b, `,"filter":`...)
	b = AppendJSONString(b, r.Filter)
	b = append(b, `,"state":"`...)
	b = append(b, r.State.String()...)
	b = append(b, '"')
	for _, f := range [...]struct {
		name  string
		value int64
	}{{"revision", r.Revision}, {"version", r.Version}, {"clicks", r.Clicks}, {"ads", r.Ads}} {
		b = append(b, `,"`...)
		b = append(b, f.name...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, f.value, 10)
	}
	b = append(b, `,"top":[`...)
	for i := range r.Top {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"ad_id":`...)
		b = AppendJSONString(b, r.Top[i].Ad)
		b = append(b, `,"count":`...)
		b = strconv.AppendInt(b, r.Top[i].Count, 10)
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// ParseRanking decodes a rankings record.
func ParseRanking(b []byte) (Ranking, error) {
	var j rankingJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return Ranking{}, fmt.Errorf("ranking: %w: %w", ErrWire, err)
	}
	start, state, err := startAndState(j.Start, j.State)
	if err != nil {
		return Ranking{}, fmt.Errorf("ranking: %w", err)
	}
	r := Ranking{
		Start: start, Size: j.Size, Filter: j.Filter, State: state, Revision: j.Revision,
		Version: j.Version, Clicks: j.Clicks, Ads: j.Ads, Top: make([]Row, len(j.Top)),
	}
	for i, t := range j.Top {
		r.Top[i] = Row{Ad: []byte(t.Ad), Count: t.Count}
	}
	return r, nil
}

func startAndState(start, state string) (int64, State, error) {
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: window_start: %w", ErrWire, err)
	}
	if y := at.UTC().Year(); y < 0 || y > 9999 {
		return 0, 0, fmt.Errorf("%w: window_start: %s lies outside the years 0 to 9999", ErrWire, start)
	}
	s, err := ParseState(state)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: state: %w", ErrWire, err)
	}
	return at.UnixMilli(), s, nil
}

// AppendStart writes a window's start as the public topics and answers have it:
// RFC 3339 in UTC, with a fraction only where there is one.
func AppendStart(b []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(b, time.RFC3339Nano)
}

const hexDigits = "0123456789abcdef"

// appendDigest writes 16 digits. Read it with parseDigest.
func appendDigest(b []byte, digest uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[digest>>shift&15])
	}
	return b
}

// AppendJSONString appends s as a JSON string. Ads have no control characters
// and are valid UTF-8 (the decoder sees to that), so that quotes and backslashes
// are what needs escaping; control characters are escaped all the same.
func AppendJSONString[T []byte | string](b []byte, s T) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		if c < 0x20 {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, '\\', c)
		}
		from = i + 1
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
