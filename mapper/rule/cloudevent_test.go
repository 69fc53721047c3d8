package rule

import (
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// ceHeaders are the headers of an event in binary mode, with one of them
// replaced, left out (nil) or added.
func ceHeaders(key string, value []byte) []click.Header {
	list := []click.Header{
		{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_type", Value: []byte("click")},
		{Key: "ce_source", Value: []byte("/shop")}, {Key: "ce_id", Value: []byte("17")},
		{Key: "ce_time", Value: []byte("2025-11-24T16:00:00Z")}, {Key: "content-type", Value: []byte("application/json")},
	}
	for i := range list {
		if list[i].Key == key {
			list[i].Value = value
			return list
		}
	}
	return append(list, click.Header{Key: key, Value: value})
}

func TestBinaryMode(t *testing.T) {
	t.Parallel()
	const data = `{"ad_id":"a","ts":1764000000001}`
	for _, c := range []struct {
		name, key, value, data string
		want                   Verdict
	}{
		{"good", "trace", "x", data, Verdict{Kind: Routed}},
		{"extension", "ce_subject", "x", data, Verdict{Kind: Routed}},
		{"no time", "ce_time", "", data, Verdict{Kind: Routed}},
		{"no time at all", "ce_time", "", `{"ad_id":"a"}`, Verdict{Kind: Rejected, Reason: click.MissingField, Detail: "ts"}},
		{"other version", "ce_specversion", "0.3", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "ce_specversion: not 1.0"}},
		{"no version", "ce_specversion", "", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "specversion: absent"}},
		{"no id", "ce_id", "", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "id: absent"}},
		{"no source", "ce_source", "", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "source: absent"}},
		{"no type", "ce_type", "", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "type: absent"}},
		{"long id", "ce_id", strings.Repeat("x", 129), data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "ce_id: longer than 128"}},
		{"long source", "ce_source", strings.Repeat("x", 1025), data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "ce_source: longer than 1024"}},
		{"newline", "ce_source", "a\nb", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "ce_source: a control"}},
		{"not UTF-8", "ce_source", "a\xff", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "ce_source: not UTF-8"}},
		{"bad time", "ce_time", "now", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "ce_time: not a time"}},
		{"old time", "ce_time", "1999-12-31T23:59:59Z", data, Verdict{Kind: Rejected, Reason: click.BadTime, Detail: "ce_time"}},
		{"protobuf", "content-type", "application/cloudevents+protobuf", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "content-type: only"}},
		{"batch", "content-type", "application/cloudevents-batch+json", data, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "content-type: only"}},
		{"an event within", "trace", "x", event, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "both in the headers and in the value"}},
		{"no ad", "trace", "x", `{}`, Verdict{Kind: Rejected, Reason: click.MissingField, Detail: "ad_id"}},
		{"no JSON", "trace", "x", `a`, Verdict{Kind: Rejected, Reason: click.Malformed, Detail: "byte 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			value := []byte(c.value)
			if c.value == "" {
				value = nil
			}
			v := one(defaults(), c.data, ceHeaders(c.key, value)...)
			if v.Kind != c.want.Kind || v.Reason != c.want.Reason || !strings.Contains(v.Detail, c.want.Detail) {
				t.Errorf("%v %v %q, want %v", v.Kind, v.Reason, v.Detail, c.want)
			}
		})
	}
	twice := append(ceHeaders("trace", nil), click.Header{Key: "ce_id", Value: []byte("18")})
	if v := one(defaults(), data, twice...); v.Reason != click.BadCloudEvent {
		t.Error(v)
	}
	p := NewPartition(defaults(), click.Source{}, NewState(0))
	broken := click.Record{Append: stamp, Value: []byte(data), Headers: click.Headers{Raw: []byte{9}, Count: 1}}
	if v := p.Add(&broken); v.Reason != click.Malformed {
		t.Error(v)
	}
}

func TestStructuredMode(t *testing.T) {
	t.Parallel()
	header := click.Header{Key: "content-type", Value: []byte("Application/CloudEvents+JSON; charset=UTF-8")}
	for _, c := range []struct {
		name, old, replacement string
		want                   Verdict
	}{
		{"good", "17", "18", Verdict{Kind: Routed}},
		{"time from the data", `"time":"2025-11-24T16:00:00Z","data":{"ad_id":"a","ts":1}`, `"data":{"ts":1764000000000,"ad_id":"a"}`, Verdict{Kind: Routed}},
		{"null time", `"2025-11-24T16:00:00Z","data":{"ad_id":"a","ts":1}`, `null,"data":{"ts":1764000000000,"ad_id":"a"}`, Verdict{Kind: Routed}},
		{"no version", `"specversion":"1.0",`, ``, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "specversion: absent"}},
		{"other version", `1.0`, `2.0`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "specversion at byte 15: not 1.0"}},
		{"number as version", `"1.0"`, `1.0`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "specversion at byte 15: not text"}},
		{"no source", `"source":"/shop",`, ``, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "source: absent"}},
		{"empty source", `/shop`, ``, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "source at byte 45: absent, null or empty"}},
		{"number as id", `"17"`, `17`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "id at byte"}},
		{"newline in id", `17`, `1\n7`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "id at byte"}},
		{"half a pair in id", `17`, `\ud800`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "id at byte"}},
		{"null type", `"click"`, `null`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "type: absent"}},
		{"no data", `"data"`, `"data_base64"`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "data: not there"}},
		{"text as data", `{"ad_id":"a","ts":1}`, `"a"`, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "data: not there"}},
		{"bad time", `T16:00:00Z`, ``, Verdict{Kind: Rejected, Reason: click.BadCloudEvent, Detail: "time at byte"}},
		{"no ad", `"ad_id"`, `"ad"`, Verdict{Kind: Rejected, Reason: click.MissingField, Detail: "ad_id"}},
		{"two ads", `"ts"`, `"AD_ID"`, Verdict{Kind: Rejected, Reason: click.DuplicateKey, Detail: "AD_ID at byte"}},
		{"ID", `"id"`, `"ID"`, Verdict{Kind: Rejected, Reason: click.DuplicateKey, Detail: "only by case"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := one(defaults(), strings.Replace(event, c.old, c.replacement, 1), header)
			if v.Kind != c.want.Kind || v.Reason != c.want.Reason || !strings.Contains(v.Detail, c.want.Detail) {
				t.Errorf("%v %v %q, want %v", v.Kind, v.Reason, v.Detail, c.want)
			}
		})
	}
	// An event may repeat its attributes in the headers, but not contradict them.
	same := append(ceHeaders("trace", nil), header)
	if v := one(defaults(), event, same...); v.Kind != Routed {
		t.Error(v)
	}
	other := append(ceHeaders("ce_id", []byte("18")), header)
	if v := one(defaults(), event, other...); v.Reason != click.BadCloudEvent || !strings.HasPrefix(v.Detail, "id at byte") {
		t.Error(v)
	}
	// A click that merely has a field of that name is no event.
	if v := one(defaults(), with("country", "specversion")); v.Kind != Routed {
		t.Error(v)
	}
}

// TestEventIdentity shows that both modes make one identity of one event.
func TestEventIdentity(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	d := newDecoder(&cfg)
	inBody, ok1 := d.decode([]byte(event), click.Headers{})
	first := string(inBody.event) + "|" + string(inBody.ad)
	inHeaders, ok2 := d.decode([]byte(`{"ad_id":"a","event_id":"other"}`), click.MakeHeaders(ceHeaders("x", nil)))
	if second := string(inHeaders.event) + "|" + string(inHeaders.ad); !ok1 || !ok2 || first != "/shop\n17|a" || first != second || inBody.time != inHeaders.time {
		t.Errorf("%q at %d and %q at %d", first, inBody.time, second, inHeaders.time)
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte(event), click.MakeHeaders(ceHeaders("x", nil)).Raw, 7)
	f.Add([]byte(good), []byte{2, 'a', 1}, 1)
	f.Add([]byte(nil), click.MakeHeaders([]click.Header{{Key: click.HeaderWatermark, Value: []byte("1764000000000")}}).Raw, 1)
	cfg := defaults()
	cfg.Trusted = true
	f.Fuzz(func(t *testing.T, value, raw []byte, count int) {
		p := NewPartition(cfg, click.Source{}, NewState(0))
		v := p.Add(&click.Record{Append: stamp, Value: value, Headers: click.Headers{Raw: raw, Count: min(count, 100)}})
		if v.Kind < Routed || v.Kind > Tombstone || v.Reason == click.DecoderPanic || len(v.Detail) > maxDetail {
			t.Errorf("%v", v)
		}
	})
}
