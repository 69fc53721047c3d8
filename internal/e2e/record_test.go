package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// may is the day the clicks of these tests are of.
var may = time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)

// record is what a program sends.
type record struct {
	value   string // NULL is none
	headers []click.Header
}

func (r record) bytes() []byte {
	if r.value == "NULL" {
		return nil
	}
	return []byte(r.value)
}

func headers(pairs ...string) (h []click.Header) {
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, click.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return h
}

// stock sends records as a program does that uses kafka-go's own Writer.
func stock(ctx context.Context, t *testing.T, s *server, records []record) {
	t.Helper()
	w := &kafkago.Writer{
		Addr: kafkago.TCP(s.broker), Topic: "clicks", Balancer: &kafkago.Hash{}, BatchTimeout: 10 * time.Millisecond,
		RequiredAcks: kafkago.RequireAll, Compression: kafkago.Snappy, Transport: &kafkago.Transport{Context: ctx},
	}
	var messages []kafkago.Message
	for i, r := range records {
		m := kafkago.Message{Key: []byte(strconv.Itoa(i)), Value: r.bytes()}
		for _, h := range r.headers {
			m.Headers = append(m.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
		}
		messages = append(messages, m)
	}
	if err := w.WriteMessages(ctx, messages...); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.Transport.(*kafkago.Transport).CloseIdleConnections()
}

// own sends records by the program's own log.
func own(ctx context.Context, t *testing.T, s *server, records []record) {
	t.Helper()
	var messages []stream.Message
	for i, r := range records {
		messages = append(messages, stream.Message{Partition: int32(i % 4), Key: []byte(strconv.Itoa(i)), Value: r.bytes(), Headers: r.headers})
	}
	if err := s.dial(ctx).Append(ctx, "clicks", messages); err != nil {
		t.Fatal(err)
	}
}

// TestCloudEvents sends one click in every mode CloudEvents have, by two
// clients: an event is known by its source and id in all of them.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	const at = "2024-05-01T10:00:00Z"
	structured := func(id, source string) string {
		return fmt.Sprintf(`{"specversion":"1.0","type":"click","source":%q,"id":%q,"time":%q,"data":{"ad_id":"a"}}`, source, id, at)
	}
	binary := func(id, source string) []click.Header {
		return headers("ce_specversion", "1.0", "ce_type", "click", "ce_source", source, "ce_id", id, "ce_time", at, "content-type", "application/json")
	}
	records := []record{
		{structured("1", "shop"), headers("content-type", "application/cloudevents+json; charset=UTF-8")},
		{structured("2", "shop"), nil},                                    // announced by no header
		{`{"ad_id":"a"}`, binary("3", "shop")},                            //
		{`{"ad_id":"a","ts":0,"event_id":"1"}`, binary("4", "shop")},      // the event's own id and time win
		{structured("1", "mail"), nil},                                    // another source: another event
		{`{"ad_id":"a","event_id":"1","ts":"2024-05-01T10:00:00Z"}`, nil}, // no event: its id has no source
		{`{"ad_id":"a"}`, binary("1", "shop")},                            // the first again in another mode
		{structured("3", "shop"), nil},                                    // the third again in another mode
	}
	for name, send := range map[string]func(context.Context, *testing.T, *server, []record){"kafka-go": stock, "own": own} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := limited(t)
			s := running(ctx, t, "--input.partitions", "4")
			send(ctx, t, s, records)
			sum := s.settled(ctx, int64(len(records)))
			if sum.Counted != 6 || sum.Duplicate+sum.Conflict != 2 {
				t.Errorf("%+v", sum)
			}
			s.answers(ctx, "a", may, may.Add(time.Minute), func(a *api.Count) bool { return a.Count == 6 })
		})
	}
}

// refused is a record that is no click, and why.
type refused struct {
	reason click.Reason
	record record
}

// garbage is a record or more for every reason that a record can give.
func garbage() []refused {
	event := func(without string, pairs ...string) []click.Header {
		h := map[string]string{"ce_specversion": "1.0", "ce_type": "click", "ce_source": "shop", "ce_id": "1", "ce_time": "2024-05-01T10:00:00Z"}
		delete(h, without)
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = pairs[i+1]
		}
		var list []click.Header
		for k := range maps.Keys(h) {
			list = append(list, click.Header{Key: k, Value: []byte(h[k])})
		}
		return list
	}
	far := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	return []refused{
		{click.Empty, record{value: ""}},
		{click.Malformed, record{value: "garbage"}},
		{click.Malformed, record{value: `[{"event_id":"1","ad_id":"a","ts":1714557600000}]`}},
		{click.Malformed, record{value: "\x00\xff\xfe", headers: headers("trace", "\x00\xff")}},
		{click.Malformed, record{value: `{"event_id":"1","ad_id":"a","ts":1714557600000}{}`}},
		{click.DuplicateKey, record{value: `{"event_id":"1","ad_id":"a","ad_id":"b","ts":1714557600000}`}},
		{click.DuplicateKey, record{value: `{"event_id":"1","ad_id":"a","Ad_Id":"b","ts":1714557600000}`}},
		{click.BadText, record{value: "{\"event_id\":\"1\",\"ad_id\":\"\xff\",\"ts\":1714557600000}"}},
		{click.BadText, record{value: `{"event_id":"\u0000","ad_id":"a","ts":1714557600000}`}},
		{click.MissingField, record{value: `{"event_id":"1","ts":1714557600000}`}},
		{click.MissingField, record{value: `{"event_id":"1","ad_id":"a","ts":null}`}},
		{click.BadType, record{value: `{"event_id":"1","ad_id":["a"],"ts":1714557600000}`}},
		{click.BadType, record{value: `{"event_id":"1","ad_id":"a","ts":1.5}`}},
		{click.TooLong, record{value: `{"event_id":"1","ad_id":"` + strings.Repeat("a", 129) + `","ts":1714557600000}`}},
		{click.TooLarge, record{value: `{"event_id":"1","ad_id":"a","ts":1714557600000,"x":"` + strings.Repeat("x", 65536) + `"}`}},
		{click.TooDeep, record{value: `{"event_id":"1","ad_id":"a","ts":1714557600000,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`}},
		{click.BadTime, record{value: `{"event_id":"1","ad_id":"a","ts":1714557600}`}},
		{click.BadTime, record{value: `{"event_id":"1","ad_id":"a","ts":"2024-05-01"}`}},
		{click.Ahead, record{value: `{"event_id":"1","ad_id":"a","ts":` + far + `}`}},
		{click.BadCloudEvent, record{value: `{"ad_id":"a"}`, headers: event("ce_id")}},
		{click.BadCloudEvent, record{value: `{"ad_id":"a"}`, headers: event("", "ce_specversion", "0.3")}},
		{click.BadCloudEvent, record{value: `{"specversion":"1.0","type":"click","id":"1","data":{"ad_id":"a"}}`}},
		{click.BadCloudEvent, record{value: "avro", headers: headers("content-type", "application/cloudevents+avro")}},
		{click.BadMark, record{value: "NULL", headers: headers(click.HeaderWatermark, "soon")}},
	}
}

// TestRejected sends garbage of every kind: each record stands on the rejected
// topic with its reason, its origin and its own bytes, and costs no good click.
func TestRejected(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	log := s.dial(ctx)
	good := func(i int) record {
		return record{value: fmt.Sprintf(`{"event_id":"good%d","ad_id":"good","ts":%d}`, i, may.UnixMilli())}
	}
	garbage := garbage()
	var messages []stream.Message
	for i, g := range garbage {
		for _, r := range []record{g.record, good(i)} {
			messages = append(messages, stream.Message{Partition: 2, Key: fmt.Appendf(nil, "key %d", i), Value: r.bytes(), Headers: r.headers})
		}
	}
	before := time.Now().UnixMilli()
	if err := log.Append(ctx, "clicks", messages); err != nil {
		t.Fatal(err)
	}
	if sum := s.settled(ctx, int64(len(messages))); sum.Rejected != int64(len(garbage)) || sum.Counted != int64(len(garbage)) {
		t.Errorf("%+v", sum)
	}
	topic, err := log.Topic(ctx, "clicks")
	if err != nil {
		t.Fatal(err)
	}
	letters := read(ctx, t, log, "clickagg.rejected", int64(len(garbage)))
	for i, g := range garbage {
		is, m := letters[i], messages[2*i]
		want := append(append([]click.Header{}, m.Headers...), headers(
			click.HeaderReason, g.reason.String(), click.HeaderTopic, "clicks", click.HeaderPartition, "2",
			click.HeaderOffset, strconv.Itoa(2*i), click.HeaderIncarnation, fmt.Sprintf("%x", topic.ID[:]))...)
		value := m.Value
		if g.reason == click.TooLarge { // of what is over the limit the beginning is kept
			want = append(want, headers(click.HeaderBytes, strconv.Itoa(len(value)))...)
			value = value[:len(is.Value)]
		}
		if !bytes.Equal(is.Key, m.Key) || !bytes.Equal(is.Value, value) || (is.Value == nil) != (value == nil) {
			t.Errorf("%d, %v: key %q, value %.99q", i, g.reason, is.Key, is.Value)
		}
		for _, h := range want {
			if v, ok := is.Headers.Get(h.Key); !ok || !bytes.Equal(v, h.Value) {
				t.Errorf("%d, %.99q: header %s is %q, not %q", i, m.Value, h.Key, v, h.Value)
			}
		}
		appended, _ := is.Headers.Get(click.HeaderAppendTime)
		if n, err := strconv.ParseInt(string(appended), 10, 64); err != nil || n < before || n > time.Now().UnixMilli() {
			t.Errorf("%d: append time %q", i, appended)
		}
	}
	s.answers(ctx, "good", may, may.Add(time.Minute), func(a *api.Count) bool { return a.Count == int64(len(garbage)) })
}

// TestLate: a click whose window closed for good goes to the late topic with its
// bytes; one within the lateness is counted.
func TestLate(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	log := s.dial(ctx)
	send := func(id string, at time.Time, h ...click.Header) {
		value := fmt.Appendf(nil, `{"event_id":%q,"ad_id":"a","ts":%d}`, id, at.UnixMilli())
		m := stream.Message{Partition: 1, Key: []byte(id), Value: value, Headers: h}
		if err := log.Append(ctx, "clicks", []stream.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	// The watermark is 15 s before the newest click; the lateness 5 m.
	send("first", may.Add(6*time.Minute+15*time.Second))
	send("late", may.Add(59*time.Second), headers("trace", "42")...)
	send("not late", may.Add(60*time.Second))
	if sum := s.settled(ctx, 3); sum.Late != 1 || sum.Counted != 2 {
		t.Errorf("%+v", sum)
	}
	letter := read(ctx, t, log, "clickagg.late", 1)[0]
	want := fmt.Sprintf(`{"event_id":"late","ad_id":"a","ts":%d}`, may.Add(59*time.Second).UnixMilli())
	if string(letter.Key) != "late" || string(letter.Value) != want {
		t.Errorf("key %q, value %q", letter.Key, letter.Value)
	}
	for _, h := range headers("trace", "42", click.HeaderReason, "late", click.HeaderTopic, "clicks", click.HeaderPartition, "1", click.HeaderOffset, "1") {
		if v, _ := letter.Headers.Get(h.Key); !bytes.Equal(v, h.Value) {
			t.Errorf("header %s is %q, not %q", h.Key, v, h.Value)
		}
	}
	s.answers(ctx, "a", may, may.Add(10*time.Minute), func(a *api.Count) bool { return a.Count == 2 })
}
