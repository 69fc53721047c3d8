package load

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestCSV maps columns, keeps the others and reads times in every form.
func TestCSV(t *testing.T) {
	t.Parallel()
	content := "\xef\xbb\xbf,timestamp,item_id,event,\"user \"\"x\"\"\"\r\n" +
		"0,1574553600000,7,e1,u\r\n" +
		"\r\n" +
		"1,2019-11-24T00:00:01Z,7,e2,\"a,\"\"b\"\"\r\nc\"\n" +
		"2,2019-11-24 00:00:02.004101+00:00,7,e3,\n" +
		"3,2019-11-24 00:00:03 UTC,7,e4,漢" // no line end
	var log memLog
	r, err := Produce(t.Context(), &log, ProduceOptions{
		Topic: "clicks", File: write(t, "clicks.csv.gz", packGzip(t, content)), Check: naive,
		Map: map[string]string{"ad_id": "item_id", "ts": "timestamp", "event_id": "event"},
	})
	if err != nil || r.Sent != 4 || r.Bad != 0 || r.Greatest != 1574553603000 {
		t.Fatalf("%+v, %v", r, err)
	}
	got := log.values()
	slices.Sort(got)
	want := []string{
		`{"column1":"0","ts":1574553600000,"ad_id":"7","event_id":"e1","user \"x\"":"u"}`,
		`{"column1":"1","ts":"2019-11-24T00:00:01Z","ad_id":"7","event_id":"e2","user \"x\"":"a,\"b\"\u000ac"}`,
		`{"column1":"2","ts":"2019-11-24T00:00:02.004101+00:00","ad_id":"7","event_id":"e3","user \"x\"":""}`,
		`{"column1":"3","ts":"2019-11-24T00:00:03Z","ad_id":"7","event_id":"e4","user \"x\"":"漢"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCSVBadLines(t *testing.T) {
	t.Parallel()
	content := "event_id,ad_id,ts\n" + // 1
		"e1,a,1574553600000\n" + // 2
		"e2,a\n" + // 3
		"e3,a,1574553600000,more\n" + // 4
		"e\"4,a,1574553600000\n" + // 5
		"\"e5\"x,a,1574553600000\n" + // 6
		"e6,a\xff,1574553600000\n" + // 7
		"e7,,1574553600000\n" + // 8
		"\"e8\n\n\",a,no time\n" + // 9, 10, 11
		"e9,a,1574553600000\n" + // 12
		"\"e10,a,1574553600000\n" + // 13
		"e11,a,1574553600000\n" // 14
	path := write(t, "x.csv", content)
	var log memLog
	var out strings.Builder
	r, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: path, Check: naive, Out: &out})
	if err != nil || r.Sent != 2 || r.Bad != 8 {
		t.Errorf("%+v, %v", r, err)
	}
	want := strings.ReplaceAll(`F:3: 2 columns where the header has 3
F:4: 4 columns where the header has 3
F:5: column 1: a quote within a cell that is not quoted
F:6: column 1: text after the closing quote
F:7: invalid UTF-8
F:8: missing_field: event_id or ad_id
F:9: bad_time: no time
F:13: a quote that opens here is not closed; 2 lines are skipped
`, "F:", path+":")
	if got, _, _ := strings.Cut(out.String(), "2 clicks, "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCSVUnclosedQuoteIsBounded(t *testing.T) {
	t.Parallel()
	content := "event_id,ad_id,ts\n\"e,a,1\n" + strings.Repeat(strings.Repeat("x", 1000)+"\n", 2000) + "e9,a,1574553600000\n"
	var log memLog
	r, err := Produce(t.Context(), &log, ProduceOptions{Topic: "clicks", File: write(t, "x.csv", content), Check: naive})
	if err != nil || r.Sent != 1 || r.Bad < 900 || r.Bad > 1000 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCSVHeaderRefused(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":                    "header: EOF",
		"event_id,item,ts,ts": `two columns would be "ts"`,
		"event_id,other,ts":   `no column "item" to map to ad_id; the columns are event_id, other, ts`,
		"item,ad_id":          `two columns would be "ad_id"`,
		"\"item":              "header: line 1: a quote that opens here",
	} {
		var log memLog
		_, err := Produce(t.Context(), &log, ProduceOptions{
			Topic: "clicks", File: write(t, "x.csv", header), Check: naive, Map: map[string]string{"ad_id": "item"},
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", header, err, want)
		}
	}
	_, err := newTable(newLines(strings.NewReader("a,b")), map[string]string{"x": "a", "y": "a"}, "ts")
	if err == nil || !strings.Contains(err.Error(), `column "a" is mapped to both x and y`) {
		t.Errorf("error %v", err)
	}
}

func TestAppendTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"1574553600":                "1574553600",
		" 1574553600000 ":           "1574553600000",
		"-5":                        "-5",
		"0":                         "0",
		"007":                       `"007"`,
		"-":                         `"-"`,
		"":                          `""`,
		"1e9":                       `"1e9"`,
		"12345678901234567890":      `"12345678901234567890"`,
		"2019-11-24T00:00:00Z":      `"2019-11-24T00:00:00Z"`,
		"2019-11-24 00:00:00+01:00": `"2019-11-24T00:00:00+01:00"`,
		"2019-11-24 00:00:00 UTC":   `"2019-11-24T00:00:00Z"`,
		"2019-11-24 00:00:00":       `"2019-11-24T00:00:00"`,
	} {
		if got := string(appendTime(nil, []byte(in))); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// FuzzCSV holds the reader against encoding/csv wherever both accept the input.
func FuzzCSV(f *testing.F) {
	f.Add("a,b\n1,2\n")
	f.Add("a,b\r\n\"x\"\"y\",\"z\n\nw\"\r\n,\n")
	f.Add("a,b\n\"x\" ,1\nx\"y,2\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.Contains(text, "\r") || strings.HasPrefix(text, string(byteOrder)) {
			return // refused here, and a lone CR ends no line in encoding/csv either but may be trimmed
		}
		in := csv.NewReader(strings.NewReader(text))
		all, err := in.ReadAll()
		table, refused := newTable(newLines(bytes.NewReader([]byte(text))), nil, "")
		if err != nil || refused != nil || len(all) == 0 {
			return
		}
		for i, record := range all {
			if len(record) == 1 && strings.TrimSpace(record[0]) == "" {
				return // a line of spaces is a record for encoding/csv
			}
			if i == 0 {
				continue
			}
			value, line, err := table.next()
			if err != nil {
				t.Fatalf("%q: line %d: %v", text, line, err)
			}
			var got map[string]string
			if err := json.Unmarshal(value, &got); err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			want := slices.Sorted(slices.Values(record))
			if have := slices.Sorted(maps.Values(got)); !slices.Equal(have, want) {
				t.Fatalf("%q: %q, want %q", text, have, want)
			}
		}
		if _, _, err := table.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("%q: after the last record: %v", text, err)
		}
	})
}
