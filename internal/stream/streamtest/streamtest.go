package streamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// Open gives a test its log and a way to make topics that no other test uses. A
// log that can have a topic made anew under its old name gives remake as well.
type Open func(t *testing.T) (log stream.Log, newTopic func(t *testing.T, partitions int32) string, remake func(t *testing.T, topic string))

// Run checks every promise.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *suite){
		"reads back what was appended, in order": order,
		"records keep their shape":               shape,
		"append time is the log's":               appendTime,
		"views live until the next read":         views,
		"next, end and asked":                    bounds,
		"an empty read waits and says the end":   empty,
		"a waiting read is woken":                woken,
		"reading from any offset":                seek,
		"outside the log":                        outside,
		"what is not there":                      missing,
		"by key":                                 byKey,
		"many appends at once":                   concurrent,
		"large messages":                         large,
		"positions":                              positions,
		"cancel":                                 cancelled,
		"close":                                  closed,
		"a topic made anew":                      anew,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			log, newTopic, remake := open(t)
			test(t, &suite{log: log, newTopic: newTopic, remake: remake})
		})
	}
}

type suite struct {
	log      stream.Log
	newTopic func(*testing.T, int32) string
	remake   func(*testing.T, string)
}

// patience bounds what should come at once, on a machine that is busy.
const patience = time.Minute

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (s *suite) append(t *testing.T, topic string, messages ...stream.Message) {
	t.Helper()
	if err := s.log.Append(within(t), topic, messages); err != nil {
		t.Fatalf("append: %v", err)
	}
}

func (s *suite) open(t *testing.T, topic string, partition int32, offset int64) stream.Reader {
	t.Helper()
	r, err := s.log.Open(within(t), topic, partition, stream.At(offset))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close the reader: %v", err)
		}
	})
	return r
}

// read reads n records, copied, and checks what every batch must hold to.
func read(t *testing.T, r stream.Reader, from int64, n int) []click.Record {
	t.Helper()
	ctx, next := within(t), from
	var all []click.Record
	for len(all) < n {
		b, err := r.Read(ctx, 100*time.Millisecond)
		if err != nil {
			t.Fatalf("read after %d of %d records: %v", len(all), n, err)
		}
		for _, rec := range b.Records {
			if rec.Offset < next {
				t.Fatalf("offset %d after %d", rec.Offset, next-1)
			}
			next = rec.Offset + 1
			all = append(all, clone(rec))
		}
		if b.Next < next || b.End < b.Next {
			t.Fatalf("next is %d, end %d, after offset %d", b.Next, b.End, next-1)
		}
		if b.Asked.IsZero() || b.Asked.After(time.Now()) {
			t.Fatalf("asked at %v", b.Asked)
		}
		next = b.Next
	}
	if len(all) != n {
		t.Fatalf("read %d records, expected %d", len(all), n)
	}
	return all
}

func clone(r click.Record) click.Record {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	r.Headers.Raw = bytes.Clone(r.Headers.Raw)
	return r
}

func numbered(partition int32, from, to int) []stream.Message {
	var ms []stream.Message
	for i := from; i < to; i++ {
		ms = append(ms, stream.Message{Partition: partition, Key: fmt.Append(nil, "k", i), Value: fmt.Append(nil, "value ", i)})
	}
	return ms
}

func order(t *testing.T, s *suite) {
	topic := s.newTopic(t, 2)
	const n = 5000
	for i := 0; i < n; i += 500 {
		s.append(t, topic, append(numbered(1, i, i+500), numbered(0, i, i+1)...)...)
	}
	r := s.open(t, topic, 1, 0)
	for i, rec := range read(t, r, 0, n) {
		if rec.Offset != int64(i) || string(rec.Value) != fmt.Sprint("value ", i) || string(rec.Key) != fmt.Sprint("k", i) {
			t.Fatalf("record %d is %d: %q = %q", i, rec.Offset, rec.Key, rec.Value)
		}
	}
	if got := read(t, s.open(t, topic, 0, 0), 0, n/500); string(got[1].Value) != "value 500" {
		t.Fatalf("the other partition holds %q", got[1].Value)
	}
}

func shape(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	s.append(t, topic,
		stream.Message{},
		stream.Message{Key: []byte{}, Value: []byte{}},
		stream.Message{Key: []byte("k"), Headers: []click.Header{{Key: "a", Value: []byte("1")}, {Key: "", Value: nil}, {Key: "a", Value: []byte{}}}},
		stream.Message{Value: []byte("v"), Headers: []click.Header{{Key: "z", Value: bytes.Repeat([]byte("x"), 300)}}},
	)
	got := read(t, s.open(t, topic, 0, 0), 0, 4)
	if got[0].Key != nil || got[0].Value != nil {
		t.Errorf("a record of nothing has key %#v, value %#v", got[0].Key, got[0].Value)
	}
	if got[1].Key == nil || got[1].Value == nil || len(got[1].Key)+len(got[1].Value) != 0 {
		t.Errorf("a record of empty things has key %#v, value %#v", got[1].Key, got[1].Value)
	}
	if got[2].Value != nil || string(got[2].Key) != "k" {
		t.Errorf("a tombstone has key %q, value %#v", got[2].Key, got[2].Value)
	}
	var names []string
	whole := got[2].Headers.Each(func(k, v []byte) bool {
		names = append(names, fmt.Sprintf("%s=%s/%t", k, v, v == nil))
		return true
	})
	if want := []string{"a=1/false", "=/true", "a=/false"}; !whole || !slices.Equal(names, want) {
		t.Errorf("headers %q, whole %t; want %q", names, whole, want)
	}
	if v, ok := got[3].Headers.Get("z"); !ok || len(v) != 300 {
		t.Errorf("header z is %q, %t", v, ok)
	}
	if got[1].Headers.Count != 0 || len(got[1].Headers.Raw) != 0 {
		t.Errorf("a record without headers has %+v", got[1].Headers)
	}
}

func appendTime(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	before := time.Now().Add(-time.Second).UnixMilli()
	s.append(t, topic, numbered(0, 0, 3)...)
	s.append(t, topic, numbered(0, 3, 6)...)
	after, last := time.Now().Add(time.Second).UnixMilli(), int64(0)
	for _, r := range read(t, s.open(t, topic, 0, 0), 0, 6) {
		if r.Append < before || r.Append > after || r.Append < last {
			t.Errorf("offset %d was appended at %d, between %d and %d, after one at %d", r.Offset, r.Append, before, after, last)
		}
		last = r.Append
	}
}

func views(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	s.append(t, topic, numbered(0, 0, 10)...)
	r, ctx := s.open(t, topic, 0, 0), within(t)
	b := new(stream.Batch)
	for len(b.Records) == 0 { // a broker that is busy may have none to show in time
		var err error
		if b, err = r.Read(ctx, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	// More comes in while the batch is in hand; the batch must not change.
	for i := 10; i < 60; i += 10 {
		s.append(t, topic, numbered(0, i, i+10)...)
	}
	for i, rec := range b.Records {
		if want := fmt.Sprint("value ", i); string(rec.Value) != want {
			t.Fatalf("record %d became %q", i, rec.Value)
		}
	}
	for _, rec := range read(t, r, b.Next, 60-int(b.Next)) {
		if want := fmt.Sprint("value ", rec.Offset); string(rec.Value) != want {
			t.Fatalf("record %d is %q", rec.Offset, rec.Value)
		}
	}
}

func bounds(t *testing.T, s *suite) {
	topic, ctx := s.newTopic(t, 2), within(t)
	check := func(partition int32, wantStart, wantEnd int64) {
		t.Helper()
		start, end, err := s.log.Bounds(ctx, topic, partition)
		if err != nil || start != wantStart || end != wantEnd {
			t.Fatalf("bounds are %d to %d, %v; want %d to %d", start, end, err, wantStart, wantEnd)
		}
	}
	check(0, 0, 0)
	s.append(t, topic, numbered(1, 0, 7)...)
	check(0, 0, 0)
	check(1, 0, 7)

	sent := time.Now()
	r := s.open(t, topic, 1, 0)
	var b *stream.Batch
	for next := int64(0); next < 7; next = b.Next {
		var err error
		if b, err = r.Read(ctx, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if b.Next != 7 || b.End != 7 || b.Asked.Before(sent) {
		t.Fatalf("next %d, end %d, asked %v; want 7, 7, after %v", b.Next, b.End, b.Asked, sent)
	}
}

func empty(t *testing.T, s *suite) {
	topic, ctx := s.newTopic(t, 1), within(t)
	r := s.open(t, topic, 0, 0)
	last := time.Time{}
	for range 3 {
		const wait = 60 * time.Millisecond
		from := time.Now()
		b, err := r.Read(ctx, wait)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Records) != 0 || b.Next != 0 || b.End != 0 || b.Asked.IsZero() || b.Asked.Before(last) {
			t.Fatalf("an empty log gives %+v after one asked at %v", b, last)
		}
		if took := time.Since(from); took < wait {
			t.Fatalf("an empty read returned after %v of %v", took, wait)
		}
		last = b.Asked
	}
	// Asked moves on: a stage learns that nothing came meanwhile.
	for from := time.Now(); ; {
		b, err := r.Read(ctx, time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if b.Asked.After(from) {
			break
		}
	}
}

func woken(t *testing.T, s *suite) {
	topic, ctx := s.newTopic(t, 1), within(t)
	r := s.open(t, topic, 0, 0)
	if _, err := r.Read(ctx, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var appended sync.WaitGroup
	appended.Go(func() { s.append(t, topic, numbered(0, 0, 1)...) })
	defer appended.Wait()
	b, err := r.Read(ctx, patience)
	if err != nil || len(b.Records) != 1 || b.Next != 1 {
		t.Fatalf("got %+v, %v", b, err)
	}
}

func seek(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	s.append(t, topic, numbered(0, 0, 10)...) // one batch, entered in the middle
	s.append(t, topic, numbered(0, 10, 20)...)
	for _, from := range []int64{0, 3, 9, 10, 19} {
		got := read(t, s.open(t, topic, 0, from), from, 20-int(from))
		if got[0].Offset != from || string(got[0].Value) != fmt.Sprint("value ", from) {
			t.Errorf("from %d: offset %d, %q", from, got[0].Offset, got[0].Value)
		}
	}
	r := s.open(t, topic, 0, 20)
	if b, err := r.Read(within(t), time.Millisecond); err != nil || len(b.Records) != 0 || b.Next != 20 || b.End != 20 {
		t.Errorf("at the end: %+v, %v", b, err)
	}
}

func outside(t *testing.T, s *suite) {
	topic := s.newTopic(t, 1)
	s.append(t, topic, numbered(0, 0, 3)...)
	for _, offset := range []int64{-1, 4, 1 << 60} {
		r, err := s.log.Open(within(t), topic, 0, stream.At(offset))
		if err == nil {
			defer r.Close()
			_, err = r.Read(within(t), time.Second)
			if _, again := r.Read(within(t), time.Second); !errors.Is(again, stream.ErrOutOfRange) {
				t.Errorf("the second read at %d gives %v", offset, again)
			}
		}
		if !errors.Is(err, stream.ErrOutOfRange) {
			t.Errorf("offset %d gives %v", offset, err)
		}
	}
}

func missing(t *testing.T, s *suite) {
	ctx, none := within(t), "no-such-topic"
	_, err := s.log.Topic(ctx, none)
	_, _, errBounds := s.log.Bounds(ctx, none, 0)
	_, errOpen := s.log.Open(ctx, none, 0, stream.At(0))
	errAppend := s.log.Append(ctx, none, numbered(0, 0, 1))
	for what, err := range map[string]error{"topic": err, "bounds": errBounds, "open": errOpen, "append": errAppend} {
		if !errors.Is(err, stream.ErrNoTopic) {
			t.Errorf("%s of a topic that is not there: %v", what, err)
		}
	}
	topic := s.newTopic(t, 2)
	if _, err := s.log.Open(ctx, topic, 2, stream.At(0)); !errors.Is(err, stream.ErrNoTopic) {
		t.Errorf("open partition 2 of 2: %v", err)
	}
	if err := s.log.Append(ctx, topic, numbered(2, 0, 1)); err == nil {
		t.Error("append to partition 2 of 2 succeeds")
	}
	if err := s.log.Append(ctx, topic, nil); err != nil {
		t.Errorf("append nothing: %v", err)
	}
}
