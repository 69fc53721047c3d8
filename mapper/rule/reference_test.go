package rule

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/click"
)

// member is one member of an object as the reference sees it.
type member struct {
	key string
	raw json.RawMessage
}

// reference is a slow and obvious decoder for the default configuration, built
// on encoding/json with checks for all that encoding/json lets pass.
func reference(value []byte) (c found, ok bool) {
	if len(value) == 0 || len(value) > 64<<10 || !json.Valid(value) || !utf8.Valid(value) || !withinLimits(value) {
		return c, false
	}
	record, ok := members(value)
	if !ok {
		return c, false
	}
	if isText(record, "specversion") && (isText(record, "type") || isText(record, "source") || isText(record, "id")) {
		return referenceEvent(record)
	}
	event, ok1 := referenceID(record, "event_id")
	ad, ok2 := referenceID(record, "ad_id")
	at, ok3 := referenceTime(record)
	return found{event: []byte(event), ad: []byte(ad), time: at}, ok1 && ok2 && ok3
}

func referenceEvent(record []member) (c found, ok bool) {
	text := map[string]string{}
	for _, name := range []string{"specversion", "type", "source", "id", "time"} {
		raw, ok := lookup(record, name)
		if !ok {
			return c, false
		}
		if raw == nil {
			if name != "time" {
				return c, false
			}
			continue
		}
		s, ok := referenceText(raw)
		if !ok || raw[0] != '"' || s == "" || !isPrintable(s) {
			return c, false
		}
		text[name] = s
	}
	data, ok := lookup(record, "data")
	if !ok || data == nil || data[0] != '{' || text["specversion"] != "1.0" || len(text["id"]) > 128 {
		return c, false
	}
	inner, ok := members(data)
	if !ok {
		return c, false
	}
	ad, ok := referenceID(inner, "ad_id")
	if !ok {
		return c, false
	}
	c = found{event: []byte(text["source"] + "\n" + text["id"]), ad: []byte(ad)}
	if s, has := text["time"]; has {
		c.time, ok = referenceRFC3339(s)
		return c, ok && inRange(c.time)
	}
	c.time, ok = referenceTime(inner)
	return c, ok
}

// withinLimits walks the tokens for depth and for the length of strings.
func withinLimits(value []byte) bool {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			return true
		}
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				depth++
			} else {
				depth--
			}
			if depth > 16 {
				return false
			}
		case string:
			if len(t) > 1024 {
				return false
			}
		}
	}
}

// members lists an object's members and refuses keys that are not unique.
func members(value []byte) (list []member, ok bool) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		before := d.InputOffset()
		token, _ := d.Token()
		m := member{key: token.(string)}
		if isLone(value[before:d.InputOffset()]) || d.Decode(&m.raw) != nil {
			return nil, false
		}
		for _, other := range list {
			if lower(other.key) == lower(m.key) {
				return nil, false
			}
		}
		list = append(list, m)
	}
	return list, len(list) <= 64
}

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// lookup returns nil for what is absent or null, and false for a lookalike key.
func lookup(list []member, name string) (raw json.RawMessage, ok bool) {
	for _, m := range list {
		if m.key == name {
			raw = m.raw
		} else if strings.EqualFold(m.key, name) {
			return nil, false
		}
	}
	if string(raw) == "null" {
		raw = nil
	}
	return raw, true
}

func isText(list []member, name string) bool {
	for _, m := range list {
		if m.key == name {
			return m.raw[0] == '"'
		}
	}
	return false
}

var escapes = regexp.MustCompile(`\\u[0-9a-fA-F]{4}|\\.`)

// isLone tells whether a raw string holds half a surrogate pair.
func isLone(raw []byte) bool {
	high := -1 // where the low half of a pair has to be
	for _, at := range escapes.FindAllIndex(raw, -1) {
		if raw[at[0]+1] != 'u' {
			continue
		}
		v, _ := strconv.ParseUint(string(raw[at[0]+2:at[1]]), 16, 16)
		low := v >= 0xdc00 && v <= 0xdfff
		if low != (high == at[0]) {
			return true
		}
		if high = -1; v >= 0xd800 && v < 0xdc00 {
			if high = at[1]; !slices.Contains([]string{`\u`}, string(raw[high:min(len(raw), high+2)])) {
				return true
			}
		}
	}
	return false
}

// referenceText reads text, or an integer as its digits.
func referenceText(raw json.RawMessage) (string, bool) {
	if raw[0] != '"' {
		return string(raw), isInteger.Match(raw)
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil && !isLone(raw)
}

var isInteger = regexp.MustCompile(`^-?[0-9]+$`)

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, unicode.IsControl) && strings.TrimSpace(s) == s
}

func referenceID(list []member, name string) (string, bool) {
	raw, ok := lookup(list, name)
	if !ok || raw == nil {
		return "", false
	}
	s, ok := referenceText(raw)
	return s, ok && s != "" && len(s) <= 128 && isPrintable(s)
}

func referenceTime(list []member) (int64, bool) {
	raw, ok := lookup(list, "ts")
	if !ok || raw == nil {
		return 0, false
	}
	s, ok := referenceText(raw)
	if !ok {
		return 0, false
	}
	if raw[0] == '"' {
		t, ok := referenceRFC3339(s)
		return t, ok && inRange(t)
	}
	t, err := strconv.ParseInt(s, 10, 64)
	return t, err == nil && inRange(t)
}

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func referenceRFC3339(s string) (int64, bool) {
	if !rfc3339.MatchString(s) {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s[:10]+"T"+s[11:]))
	return t.UnixMilli(), err == nil
}

func inRange(t int64) bool {
	return t >= time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() &&
		t < time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// seeds are records that between them take every way through the decoder.
func seeds() []string {
	list := []string{
		good, event,
		` { "event_id" : 17 , "ad_id" : "\u0041d\ud83d\ude00\n\/" , "ts" : "2025-11-24T16:00:00.123456789+09:00" } `,
		`{"event_id":"é","ad_id":"광고","ts":"2025-11-24t16:00:00z","a":[1,-0.5e+3,{"b":[]},{}],"t":true,"f":false,"n":null}`,
		`{"event_id":"\ud800","ad_id":"a","ts":1764000000000}`, `{"event_id":"\udc00\ud800","ad_id":"a","ts":1764000000000}`,
		`{"event_id":"a","ad_id":"a","ts":1764000000000,"x":"\ud800"}`, `{"event_id":"a","ad_id":"a","ts":1764000000000,"\ud800":1}`,
		`{"event_id":"a","EVENT_ID":"b","ad_id":"a","ts":1764000000000}`, `{"event_id":"a","ad_id":"a","ts":1764000000000,"t\u017f":1}`,
		`{"event_id":"a","ad_id":"a","tſ":1764000000000}`, `{"event_id":" a","ad_id":"a","ts":1764000000000}`,
		`{"event_id":"a","ad_id":"a","ts":1764000000000.0}`, `{"event_id":"a","ad_id":"a","ts":1.764e12}`, `{"event_id":1.5,"ad_id":"a","ts":1}`,
		`{"event_id":"a","ad_id":"a","ts":9007199254740993}`, `{"event_id":"a","ad_id":"a","ts":-1}`, `{"event_id":"a","ad_id":"a","ts":"2025-02-29T00:00:60Z"}`,
		`{"event_id":"\ud83d\u0041","ad_id":"a","ts":1764000000000}`, `{"event_id":"\ud83d\ud83d\ude00","ad_id":"a","ts":1764000000000}`,
		"{\"event_id\":\"a\",\"ad_id\":\"a\",\"ts\":1764000000000,\"@[\":1,\"`{\":1,\"\x7f\":1,\"_\":1}",
		`[]`, `null`, `"x"`, `{`, `{}`, `{"a":01}`, `{"a":1}{"b":2}`, "\xef\xbb\xbf{}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", `{"a":"\x"}`, `{"a":tru}`,
		`{"specversion":"1.0","id":"1","source":"s","data":{"ad_id":"a","ts":1764000000000}}`, `{"specversion":"1.0","type":"t","event_id":"e","ad_id":"a","ts":1764000000000}`,
		`{"specversion":"1.0","type":"t","source":"s","id":"1","data":{"ad_id":"a","AD_ID":"b","ts":1764000000000}}`,
		`{"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `,"event_id":"a","ad_id":"a","ts":1764000000000}`,
		`{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `,"event_id":"a","ad_id":"a","ts":1764000000000}`,
		`{"a":"` + strings.Repeat("x", 1024) + `","event_id":"` + strings.Repeat("x", 128) + `","ad_id":"a","ts":1764000000000}`,
		`{"a":"` + strings.Repeat("x", 1025) + `","event_id":"a","ad_id":"a","ts":1764000000000}`,
		`{"a":"` + strings.Repeat(`\u00e9`, 512) + `","event_id":"a","ad_id":"a","ts":1764000000000}`,
	}
	for _, fields := range []int{64, 65} {
		record := `{"event_id":"a","ad_id":"a","ts":1764000000000`
		for i := 3; i < fields; i++ {
			record += `,"f` + strconv.Itoa(i) + `":` + strconv.Itoa(i)
		}
		list = append(list, record+"}")
	}
	return list
}

// agree fails the test unless decoder and reference say the same of a record.
func agree(t *testing.T, value []byte) {
	t.Helper()
	cfg := defaults()
	d := newDecoder(&cfg)
	got, gotOK := d.decode(value, click.Headers{})
	want, wantOK := reference(value)
	switch {
	case gotOK != wantOK:
		t.Errorf("%q: decoder %v (%v), reference %v", value, gotOK, d.fault.verdict(), wantOK)
	case gotOK && (!bytes.Equal(got.event, want.event) || !bytes.Equal(got.ad, want.ad) || got.time != want.time):
		t.Errorf("%q: decoder %q %q %d, reference %q %q %d", value, got.event, got.ad, got.time, want.event, want.ad, want.time)
	case !gotOK:
		v := d.fault.verdict()
		if v.Reason >= click.ReasonsEnd || v.Detail == "" || len(v.Detail) > maxDetail || !utf8.ValidString(v.Detail) {
			t.Errorf("%q: verdict %v", value, v)
		}
	}
}

// TestDecoderAgreesOnChangedRecords cuts, doubles and changes the seeds at every byte.
func TestDecoderAgreesOnChangedRecords(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds() {
		agree(t, []byte(seed))
		if len(seed) > 250 {
			continue
		}
		for i := range seed {
			for _, c := range []string{"", "\"", "\\", "{", "}", ",", " ", "0", "e", "\x00", "\x7f", "\u0085", "\u00a0", "\xff"} {
				agree(t, []byte(seed[:i]+c+seed[i+1:]))
				agree(t, []byte(seed[:i]+c+seed[i:]))
			}
			agree(t, []byte(seed[:i]))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(agree)
}

func FuzzRFC3339(f *testing.F) {
	for _, seed := range []string{
		"2025-11-24T16:00:00Z", "2000-02-29t23:59:59.999999999-23:59", "1900-02-29 00:00:00+00:00", "2024-12-31T24:00:00Z",
		"2024-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "2024-1-1T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, gotOK := parseRFC3339([]byte(s))
		want, wantOK := referenceRFC3339(s)
		if gotOK != wantOK || gotOK && got != want {
			t.Errorf("%q: %d %v, reference %d %v", s, got, gotOK, want, wantOK)
		}
	})
}
