package letters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/memory"
	"github.com/clickagg/clickagg/mapper/rule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	rejected = "clickagg.rejected"
	noon     = 1_764_072_000_000 // 2025-11-25T12:00:00Z
)

// post is an installation with letters.
type post struct {
	t   *testing.T
	log *memory.Log
	id  click.TopicID
	Box
	faults []string
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{t: t, log: new(memory.Log)}
	p.log.Create("clicks", 2)
	p.log.Create("other", 1)
	p.log.Create("clickagg.results", 1)
	p.log.Create(rejected, 1)
	topic, err := p.log.Topic(t.Context(), "clicks")
	if err != nil {
		t.Fatal(err)
	}
	p.id, p.Box = topic.ID, Box{p.log, rejected}
	return p
}

// put writes a letter about clicks/partition/offset.
func (p *post) put(partition int, offset int64, reason, detail, value string, more ...click.Header) {
	p.t.Helper()
	headers := append([]click.Header{{Key: "trace", Value: []byte("42")}}, headers(
		click.HeaderReason, reason, click.HeaderDetail, detail, click.HeaderTopic, "clicks", click.HeaderPartition, strconv.Itoa(partition),
		click.HeaderOffset, strconv.FormatInt(offset, 10), click.HeaderIncarnation, fmt.Sprintf("%x", p.id),
		click.HeaderAppendTime, strconv.FormatInt(noon+offset*60_000, 10))...)
	m := stream.Message{Key: []byte("k"), Value: []byte(value), Headers: append(headers, more...)}
	if err := p.log.Append(p.t.Context(), p.Topic, []stream.Message{m}); err != nil {
		p.t.Fatal(err)
	}
}

func headers(kv ...string) (h []click.Header) {
	for i := 0; i < len(kv); i += 2 {
		h = append(h, click.Header{Key: kv[i], Value: []byte(kv[i+1])})
	}
	return h
}

// names lists the letters that are meant.
func (p *post) names(f Filter) string {
	p.t.Helper()
	var out []string
	if err := p.Each(p.t.Context(), f, func(l *Letter) error { out = append(out, l.String()); return nil }); err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// strict takes clicks whose ts is a number; one of 1 is late.
type strict struct{}

func (strict) Verdict(_ context.Context, _ click.Source, m *stream.Message) (rule.Verdict, error) {
	var c struct{ TS any }
	switch err := json.Unmarshal(m.Value, &c); {
	case err != nil:
		return rule.Verdict{Kind: rule.Rejected, Reason: click.Malformed, Detail: "no JSON"}, nil
	case c.TS == 1.0:
		return rule.Verdict{Kind: rule.Late}, nil
	}
	if _, ok := c.TS.(float64); !ok {
		return rule.Verdict{Kind: rule.Rejected, Reason: click.BadTime, Detail: "ts"}, nil
	}
	return rule.Verdict{Kind: rule.Routed}, nil
}

func isOwn(topic string) bool { return strings.HasPrefix(topic, "clickagg.") }

func (p *post) redrive(o Redrive) Outcome {
	p.t.Helper()
	p.faults = nil
	o.Judge, o.Fault = strict{}, func(name, text string) { p.faults = append(p.faults, name+" "+text) }
	o.Own = isOwn
	out, err := p.Redrive(p.t.Context(), o)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *post) sent(topic string, partition int32) (values []string) {
	for _, r := range p.log.Records(topic, partition) {
		values = append(values, string(r.Value))
	}
	return values
}

func TestEachLetterOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.put(0, 1, "malformed", "byte 0", "x")
	p.put(1, 1, "bad_time", "ts", "{}")
	p.put(0, 1, "malformed", "byte 0", "x") // the mapper crashed
	p.put(0, 2, "bad_time", "ts", "{}")
	if err := p.log.Append(t.Context(), rejected, []stream.Message{{Value: []byte("no letter")}, {Headers: headers(click.HeaderReason, "x", click.HeaderTopic, "t")}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "clicks/0/1 clicks/1/1 clicks/0/2"},
		{Filter{Reasons: []string{"bad_time", "empty"}}, "clicks/1/1 clicks/0/2"},
		{Filter{Source: "clicks/0"}, "clicks/0/1 clicks/0/2"},
		{Filter{Source: "clicks/0/2"}, "clicks/0/2"},
		{Filter{Source: "click"}, ""},
		{Filter{From: noon + 120_000}, "clicks/0/2"},
		{Filter{To: noon + 120_000}, "clicks/0/1 clicks/1/1"},
	} {
		if got := p.names(c.f); got != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
	// Case: the topic was made again, so the same offset is another record.
	p.id[15]++
	p.put(0, 1, "malformed", "byte 0", "x")
	if got := p.names(Filter{Source: "clicks/0/1"}); got != "clicks/0/1 clicks/0/1" {
		t.Error(got)
	}
}

// TestARecordSaysNothingOfItsLetter: whoever sends what is no click could hide it, or make
// of it a thousand, if its headers were taken for ours.
func TestARecordSaysNothingOfItsLetter(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		click.HeaderSettled: Dropped, click.HeaderRecords: "1000", click.HeaderLateBy: "soon", click.HeaderBytes: "9",
		click.HeaderReason: "late", click.HeaderIncarnation: "none", click.HeaderOffset: "77",
	} {
		p := newPost(t)
		r := click.Record{Offset: 7, Value: []byte("{"), Headers: click.MakeHeaders(headers(name, value, "trace", "42"))}
		var m stream.Message
		m.Key, m.Value, m.Headers = click.Letter(click.Source{Topic: "clicks", ID: p.id}, &r, "malformed", "")
		if err := p.log.Append(t.Context(), p.Topic, []stream.Message{m}); err != nil {
			t.Fatal(err)
		}
		l, err := p.Show(t.Context(), "clicks/0/7")
		if err != nil || l.Reason != "malformed" || l.Records != 1 || l.LateBy != -1 || l.Away || l.Settled != (Settled{}) || len(l.Headers) != 2 {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		if again := l.again(0).Headers; len(again) != 2 || again[0].Key != "trace" || again[1].Key != click.HeaderRedriven {
			t.Errorf("%s: %+v", name, again)
		}
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.put(0, 1, "malformed", "", "x")
	p.put(0, 2, "bad_time", "", "{}")
	if _, err := p.Drop(t.Context(), Filter{}, ""); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
	if n, err := p.Drop(t.Context(), Filter{Reasons: []string{"malformed"}}, "a test"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n, err := p.Drop(t.Context(), Filter{Source: "clicks/0/1", Settled: true}, "again"); err != nil || n != 0 {
		t.Error(n, err)
	}
	if got := p.names(Filter{}); got != "clicks/0/2" {
		t.Error(got)
	}
	if got := p.names(Filter{Settled: true}); got != "clicks/0/1 clicks/0/2" {
		t.Error(got)
	}
	l, err := p.Show(t.Context(), "clicks/0/1")
	if err != nil || l.Settled.How != Dropped || l.Settled.Note != "a test" || string(l.Value) != "x" {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := p.Show(t.Context(), "clicks/0/9"); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

func TestRedriveSendsWhatIsGoodOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.put(1, 1, "bad_time", "ts", `{"event_id":"a", "ts":"x"}`, headers(click.HeaderRedriven, "clicks/1/0")...)
	p.put(0, 2, "malformed", "byte 0", "x")
	p.put(0, 3, "bad_time", "ts", `{"event_id":"b","ts":"x"}`)
	edit := []Edit{{"ts", []byte("5")}}
	dry := p.redrive(Redrive{Edits: edit, DryRun: true})
	if dry != (Outcome{Letters: 3, Good: 2, Refused: 1}) || len(p.sent("clicks", 0))+len(p.sent("clicks", 1)) != 0 {
		t.Fatalf("%+v", dry)
	}
	if out := p.redrive(Redrive{Edits: edit}); out != dry {
		t.Errorf("%+v, not what the dry run said", out)
	}
	if len(p.faults) != 1 || !strings.Contains(p.faults[0], "clicks/0/2 malformed: not one JSON object") {
		t.Error(p.faults)
	}
	if got := p.sent("clicks", 1); len(got) != 1 || got[0] != `{"event_id":"a","ts":5}` {
		t.Error(got)
	}
	r := p.log.Records("clicks", 1)[0]
	var all []string
	r.Headers.Each(func(k, v []byte) bool { all = append(all, string(k)+"="+string(v)); return true })
	if got := strings.Join(all, " "); got != "trace=42 clickagg-redriven=clicks/1/1" || string(r.Key) != "k" {
		t.Errorf("key %q, headers %s", r.Key, got)
	}
	// Case: a second run.
	if out := p.redrive(Redrive{Edits: edit}); out != (Outcome{Letters: 1, Refused: 1}) {
		t.Errorf("%+v", out)
	}
	if out := p.redrive(Redrive{Edits: edit, Filter: Filter{Settled: true}}); out.Good != 2 {
		t.Errorf("--again: %+v", out)
	}
	if got := p.names(Filter{}); got != "clicks/0/2" {
		t.Error(got)
	}
}

// TestRedriveForgetsNothing: what was not acknowledged is not dealt with, and what was
// sent and not noted is sent again.
func TestRedriveForgetsNothing(t *testing.T) {
	t.Parallel()
	for _, fails := range []string{"clicks", rejected} {
		p := newPost(t)
		p.put(0, 1, "bad_time", "ts", `{"ts":5}`)
		p.log.OnAppend = func(topic string, _ []stream.Message) error {
			if topic == fails {
				return errors.New("away")
			}
			return nil
		}
		if _, err := p.Redrive(t.Context(), Redrive{Judge: strict{}, Own: isOwn}); err == nil {
			t.Error("no error")
		}
		if got := p.names(Filter{}); got != "clicks/0/1" {
			t.Errorf("%s away: %q is left", fails, got)
		}
	}
}

func TestRedriveFile(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.put(0, 1, "malformed", "", "{")
	p.put(0, 2, "malformed", "", "\xff")
	p.put(0, 3, "malformed", "", "{{")
	p.put(0, 4, "bad_time", "", `{"ts":"now"}`)
	file := `{"letter":"clicks/0/1","value":{"ts":7}}
		{"letter":"clicks/0/2","value":"{\"ts\":8}","reason":"malformed"}
		{"letter":"clicks/0/3","value_hex":"7b227473223a397d"}
		{"letter":"clicks/7/7","value":{"ts":10}}`
	if out := p.redrive(Redrive{File: strings.NewReader(file)}); out != (Outcome{Letters: 4, Good: 3, Away: 1}) || len(p.faults) != 1 {
		t.Errorf("%+v %v", out, p.faults)
	}
	if got := strings.Join(p.sent("clicks", 0), " "); got != `{"ts":7} {"ts":8} {"ts":9}` {
		t.Error(got)
	}
	for _, bad := range []string{`{`, `{"letter":"x","value":1}`, `{"letter":"clicks/0/1"}`, `{"letter":"clicks/0/1","value_hex":"x"}`} {
		if _, err := p.Redrive(t.Context(), Redrive{File: strings.NewReader(bad)}); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	// Case: what is listed is what is read.
	var b bytes.Buffer
	if err := p.Print(t.Context(), Filter{Settled: true}, Lines, 0, &b); err != nil {
		t.Fatal(err)
	}
	fixed, err := corrections(&b)
	if err != nil || string(fixed["clicks/0/1"]) != "{" || string(fixed["clicks/0/2"]) != "\xff" || string(fixed["clicks/0/4"]) != `{"ts":"now"}` {
		t.Errorf("%q, %v", fixed, err)
	}
}

func TestRedriveElsewhereAndLate(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.put(1, 1, "bad_time", "", `{"ts":1}`) // corrected, and late by now
	p.put(1, 2, "late", "", `{"ts":1}`)
	if out := p.redrive(Redrive{Topic: "other"}); out != (Outcome{Letters: 2, Late: 1, Refused: 1}) || out.Sent() != 1 {
		t.Errorf("%+v", out)
	}
	if got := p.sent("other", 0); len(got) != 1 {
		t.Error(got)
	}
	if _, err := p.Redrive(t.Context(), Redrive{Topic: "none", Judge: strict{}, Own: isOwn, Filter: Filter{Settled: true}}); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
	// Case: a click among results would be judged by nobody.
	if _, err := p.Redrive(t.Context(), Redrive{Topic: "clickagg.results", Own: isOwn, Filter: Filter{Settled: true}}); !errors.Is(err, ErrUsage) || len(p.sent("clickagg.results", 0)) > 0 {
		t.Error(err)
	}
	// Case: a result that the store refused goes back as it is, unjudged.
	p.put(0, 3, "refused", "", "a result", headers(click.HeaderTopic, "clickagg.results")...)
	p.put(0, 3, "refused", "", "a click that is too large to be kept raw")
	if out := p.redrive(Redrive{Filter: Filter{Reasons: []string{"refused"}}}); out.Good != 1 || out.Refused != 1 || p.sent("clickagg.results", 0)[0] != "a result" {
		t.Errorf("%+v", out)
	}
}

// TestBytesFromTheInput: of a click that a shard refused the letter has no bytes.
func TestBytesFromTheInput(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	if err := p.log.Append(t.Context(), "clicks", []stream.Message{
		{Value: []byte("x")}, {Key: []byte("kk"), Value: []byte(`{"ts":4}`), Headers: headers("h", "v")},
	}); err != nil {
		t.Fatal(err)
	}
	p.put(0, 1, "crowded", "", "")
	p.put(0, 9, "crowded", "", "")
	p.put(0, 1000, "malformed", "500 more of this reason up to offset 2000", "", headers(click.HeaderRecords, "500")...)
	l, err := p.Show(t.Context(), "clicks/0/1")
	if err != nil || string(l.Value) != `{"ts":4}` || string(l.Key) != "kk" || len(l.Headers) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := p.Show(t.Context(), "clicks/0/1000"); err != nil || !l.Away || l.Records != 500 {
		t.Errorf("%+v, %v", l, err)
	}
	if out := p.redrive(Redrive{}); out != (Outcome{Letters: 3, Good: 1, Away: 2}) || len(p.faults) != 2 {
		t.Errorf("%+v, %v", out, p.faults)
	}
	// Case: the topic was made again.
	p.log.Create("clicks", 2)
	if l, err := p.Show(t.Context(), "clicks/0/1"); err != nil || !l.Away {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, edit, want string }{
		{`{"a":1}`, "a=2", `{"a":2}`},
		{`{"a":1}`, "a=x y", `{"a":"x y"}`},
		{`{"a":1}`, `a="2"`, `{"a":"2"}`},
		{`{"a":1}`, "a=", `{"a":""}`},
		{`{}`, "b=null", `{"b":null}`},
		{" { \"a\" : 1.50 , \"b\":[ 1 ],\n\"c\":{\"a\":1} } ", "b=x=y", `{"a" : 1.50,"b":"x=y","c":{"a":1}}`},
		{`{"a":1,"b":2,"a":3,"\u0061":4}`, "a=5", `{"a":5,"b":2}`},
		{`{"a":"x"}`, `b"=1`, `{"a":"x","b\"":1}`},
		{`{"big":12345678901234567890.10,"a":1}`, "a=2", `{"big":12345678901234567890.10,"a":2}`},
	} {
		e, err := ParseEdit(c.edit)
		if err != nil {
			t.Fatal(err)
		}
		got, err := apply([]Edit{e}, []byte(c.in))
		if err != nil || string(got) != c.want || !json.Valid(got) {
			t.Errorf("%s, %s: %s, %v; want %s", c.in, c.edit, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "x", "[1]", `{"a":1`, `{"a":1} {}`, `{"a"}`, `{"a":tru}`, `"a"`} {
		if got, err := apply([]Edit{{"a", []byte("1")}}, []byte(bad)); !errors.Is(err, errEdit) {
			t.Errorf("%q became %q, %v", bad, got, err)
		}
	}
	for _, bad := range []string{"", "a", "=1"} {
		if _, err := ParseEdit(bad); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzEdits: what was JSON is JSON, and every other field is as it was.
func FuzzEdits(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"a":[1,2]},"c":"\u0061"}`), "a", "2")
	f.Add([]byte(" {\"a\" :1 ,\n\"a\":2}"), "b", "x")
	f.Fuzz(func(t *testing.T, value []byte, field, to string) {
		e, err := ParseEdit(field + "=" + to)
		if err != nil {
			return
		}
		out, err := apply([]Edit{e}, value)
		if err != nil {
			return
		}
		var was, is map[string]json.RawMessage
		if err := json.Unmarshal(value, &was); err != nil {
			t.Fatalf("%q is taken, and is not JSON: %v", value, err)
		}
		if err := json.Unmarshal(out, &is); err != nil {
			t.Fatalf("%q became %q: %v", value, out, err)
		}
		for k, v := range was {
			if k != e.Field && !bytes.Equal(is[k], v) && strings.ToValidUTF8(e.Field, "\ufffd") != k {
				t.Fatalf("%q became %q: %q changed", value, out, k)
			}
		}
	})
}

func TestPrint(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	print := func(f Filter, form string, limit int) string {
		t.Helper()
		var b bytes.Buffer
		if err := p.Print(t.Context(), f, form, limit, &b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := print(Filter{}, Table, 0); got != "no letters\n" {
		t.Errorf("%q", got)
	}
	p.put(0, 1, "malformed", "byte 2: x\x1b[2J", "{\"\x1b")
	p.put(0, 2, "malformed", "500 more", "", headers(click.HeaderRecords, "500")...)
	for i, by := range []string{"0", "999", "1000", "59999", "86400000", "300000"} {
		p.put(1, int64(10+i), "late", "", "{}", headers(click.HeaderLateBy, by)...)
	}
	got := print(Filter{}, Table, 3)
	for _, want := range []string{
		"clicks/0  malformed  501      2025-11-25T12:01:00Z  2025-11-25T12:02:00Z\n",
		"clicks/1  late       6 ", "clicks/1  1s                 2\n", "clicks/1  10s                1\n", "clicks/1  1m                 1\n",
		"clicks/1  15m                1\n", "clicks/1  longer             1\n", "and 5 more: --limit", "by 0s",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	var doc Listing
	if err := json.Unmarshal([]byte(print(Filter{}, JSON, 3)), &doc); err != nil || doc.Records != 507 || len(doc.Letters) != 3 || doc.LeftOut != 5 || len(doc.Late) != 5 {
		t.Errorf("%+v, %v", doc, err)
	}
	if got := print(Filter{}, CSV, 2); strings.Count(got, "\n") != 3 || !strings.HasPrefix(got, "letter,reason,") {
		t.Error(got)
	}
	if got := print(Filter{Reasons: []string{"late"}}, Lines, 0); strings.Count(got, "\n") != 6 || !strings.Contains(got, `"late_by_ms":0,`) {
		t.Error(got)
	}
	for _, form := range []string{Table, JSON, Lines} {
		if got := print(Filter{}, form, 0); strings.Contains(got, "\x1b") {
			t.Errorf("%s has what a terminal obeys", form)
		}
	}
}

// TestListIsReadByOthers: half a surrogate pair is JSON to Go and to no other program.
func TestListIsReadByOthers(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`{"a":"\ud83d\ude00 \u0041 \\ud800"}`: `{"a":"\ud83d\ude00 \u0041 \\ud800"}`,
		`{"a":"\ud83d"}`:                      `"{\"a\":\"\\ud83d\"}"`,
		`{"a":"\\\uDE00"}`:                    `"{\"a\":\"\\\\\\uDE00\"}"`,
		`{"a":"\ud83d\ud83d"}`:                `"{\"a\":\"\\ud83d\\ud83d\"}"`,
	} {
		l := Letter{Origin: Origin{click.Source{Topic: "clicks"}, 1}, Value: []byte(value)}
		line := l.line()
		if string(line.Value) != want {
			t.Errorf("%s is listed as %s", value, line.Value)
		}
		text, err := json.Marshal(&line)
		if err != nil {
			t.Fatal(err)
		}
		if fixed, err := corrections(bytes.NewReader(text)); err != nil || string(fixed["clicks/0/1"]) != value {
			t.Errorf("%s came back as %s, %v", value, fixed["clicks/0/1"], err)
		}
	}
}

func TestFilterCheck(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]Filter{
		`"malformd"; there are`: {Reasons: []string{"malformed", "malformd"}}, "--from": {From: 2, To: 2}, "no reason \"reason(16)\"": {Reasons: []string{"reason(16)"}},
	} {
		if err := f.Check(); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	for _, f := range []Filter{{}, {From: 2}, {To: 2}, {From: 1, To: 2, Reasons: []string{"late", "refused", "crowded", "stale", "bad_batch"}}} {
		if err := f.Check(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestPrintLetter(t *testing.T) {
	t.Parallel()
	show := func(l Letter, asHex bool) string {
		var b bytes.Buffer
		if err := l.Print(&b, asHex); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	l := Letter{
		Origin: Origin{click.Source{Topic: "clicks"}, 17}, Reason: "bad_time", Detail: "ts at byte 8: not a time", Append: noon, LateBy: -1, Records: 1,
		Key: []byte("k"), Value: []byte(`{"é":1,"ts":"x"}`), Headers: headers("h", "\xff"), Redriven: "clicks/0/3",
		Settled: Settled{Dropped, "a test", noon},
	}
	got := show(l, false)
	for _, want := range []string{
		"letter    clicks/0/17\n", "reason    bad_time: ts at byte 8", "2025-11-25T12:00:00Z by the broker", "header    h = 0xff\n", "correction of clicks/0/3",
		"dropped at 2025-11-25T12:00:00Z: a test", "\n  {\"é\":1,\"ts\":\"x\"}\n         ^ byte 8\n", "lies outside the years 2000 to 2099",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if got := show(l, true); !strings.Contains(got, "7b 22 c3 a9") {
		t.Error(got)
	}
	l.Value = []byte("\x1b\xff")
	if got := show(l, false); strings.Contains(got, "\x1b") || !strings.Contains(got, "1b ff") {
		t.Error(got)
	}
	l.Value, l.Away = nil, true
	if got := show(l, false); !strings.Contains(got, "not in the input any more") {
		t.Error(got)
	}
}
