package click

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestHeaders(t *testing.T) {
	t.Parallel()
	want := []Header{
		{Key: "a", Value: []byte("1")}, {Key: "", Value: []byte{}}, {Key: "null"}, {Key: "a", Value: []byte("2")},
		{Key: "long", Value: bytes.Repeat([]byte("x"), 300)},
	}
	h := MakeHeaders(want)
	var got []Header
	if !h.Each(func(k, v []byte) bool { got = append(got, Header{string(k), v}); return true }) || len(got) != len(want) {
		t.Fatalf("%d headers of %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Key != want[i].Key || !bytes.Equal(got[i].Value, want[i].Value) || (got[i].Value == nil) != (want[i].Value == nil) {
			t.Errorf("header %d: %q, want %q", i, got[i], want[i])
		}
	}
	if v, ok := h.Get("a"); !ok || string(v) != "1" {
		t.Errorf("the first a is %q, %v", v, ok)
	}
	if v, ok := h.Get("null"); !ok || v != nil {
		t.Errorf("null is %q, %v", v, ok)
	}
	if _, ok := h.Get("b"); ok {
		t.Error("b is there")
	}
	n := 0
	if !h.Each(func(_, _ []byte) bool { n++; return false }) || n != 1 {
		t.Errorf("%d headers after a stop", n)
	}
	for i := range h.Raw {
		if (Headers{Raw: h.Raw[:i], Count: h.Count}).Each(func(_, _ []byte) bool { return true }) {
			t.Fatalf("cut at %d: well formed", i)
		}
	}
	if !(Headers{}).Each(func(_, _ []byte) bool { return false }) {
		t.Error("no headers are malformed")
	}
}

func TestHeadersRefuse(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{
		"null key":        binary.AppendVarint(binary.AppendVarint(nil, -1), 0),
		"length -2":       binary.AppendVarint(append(binary.AppendVarint(nil, 1), 'k'), -2),
		"too long":        binary.AppendVarint(nil, 1<<40),
		"unfinished size": {0x80},
	} {
		if (Headers{Raw: raw, Count: 1}).Each(func(_, _ []byte) bool { return true }) {
			t.Errorf("%s: well formed", name)
		}
	}
}

func TestHeadersAllocateNothing(t *testing.T) {
	h := MakeHeaders([]Header{{Key: "a", Value: []byte("1")}, {Key: HeaderWatermark, Value: []byte("2")}})
	if n := testing.AllocsPerRun(100, func() { h.Get(HeaderWatermark) }); n != 0 {
		t.Errorf("%v allocations per Get", n)
	}
}

func FuzzHeaders(f *testing.F) {
	h := MakeHeaders([]Header{{Key: HeaderWatermark, Value: []byte("17")}, {Key: "null"}})
	f.Add(h.Raw, h.Count)
	f.Fuzz(func(t *testing.T, raw []byte, count int) {
		var got []Header
		n := 0
		whole := (Headers{Raw: raw, Count: min(count, 1000)}).Each(func(k, v []byte) bool {
			got = append(got, Header{string(k), v})
			n += len(k) + len(v) + 2
			return true
		})
		if n > len(raw) {
			t.Fatalf("%d bytes of headers in %d", n, len(raw))
		}
		if again := MakeHeaders(got); whole && len(again.Raw) > len(raw) {
			t.Fatalf("%x was taken, and written as %x", raw, again.Raw)
		}
	})
}
