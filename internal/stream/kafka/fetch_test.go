package kafka

import (
	"encoding/binary"
	"testing"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/clickagg/clickagg/internal/stream"
)

// fetchAnswer is an answer about one partition, with the tagged fields given.
func fetchAnswer(set []byte, tagged ...byte) []byte {
	e := encoding{}
	e.tags()
	e.i32(0) // throttle
	e.i16(0)
	e.i32(0)
	e.size(1)
	e.raw(make([]byte, 16))
	e.size(1)
	e.i32(7)  // partition
	e.i16(0)  // error
	e.i64(30) // high watermark
	e.i64(20) // last stable offset
	e.i64(0)
	e.size(0)
	e.i32(-1)
	e.size(len(set))
	e.raw(set)
	e.raw(tagged)
	e.tags()
	e.tags()
	return e.b
}

func TestDivergingEpoch(t *testing.T) {
	t.Parallel()
	leader := []byte{1, 10, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0} // tag 1: who leads
	diverging := []byte{0, 13, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 17, 0}
	for name, c := range map[string]struct {
		tagged []byte
		want   *epochEnd
	}{
		"none":               {[]byte{0}, nil},
		"another field":      {append([]byte{1}, leader[:12]...), nil},
		"diverging":          {append([]byte{1}, diverging...), &epochEnd{epoch: 4, end: 17}},
		"diverging and more": {append(append([]byte{2}, diverging...), leader[:12]...), &epochEnd{epoch: 4, end: 17}},
	} {
		f, err := parseFetch(fetchAnswer([]byte("set"), c.tagged...), nil)
		if err != nil || f.end != 30 || string(f.set) != "set" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		if (f.diverged == nil) != (c.want == nil) || f.diverged != nil && *f.diverged != *c.want {
			t.Errorf("%s: %+v, expected %+v", name, f.diverged, c.want)
		}
	}
	if _, err := parseFetch(fetchAnswer(nil, 1, 0, 4, 0, 0, 0, 4), nil); err == nil {
		t.Error("a field cut short is taken")
	}
}

// TestLastFetchedEpoch: a request says which leader wrote the last record.
func TestLastFetchedEpoch(t *testing.T) {
	t.Parallel()
	p := place{topic: "t", partition: 3}
	with := p.encode("c", stream.Place{Offset: 11, Epoch: 5}, 0, 1)
	without := p.encode("c", stream.Place{Offset: 11, Epoch: stream.NoEpoch}, 0, 1)
	at := -1
	for i := range with {
		if with[i] != without[i] {
			at = i
			break
		}
	}
	if at < 8 || binary.BigEndian.Uint64(with[at-8:]) != 11 || binary.BigEndian.Uint32(with[at:]) != 5 || binary.BigEndian.Uint32(without[at:]) != 1<<32-1 {
		t.Errorf("%x\n%x", with, without)
	}
	if version := binary.BigEndian.Uint16(with[6:]); protocol.ApiKey(binary.BigEndian.Uint16(with[4:])) != protocol.Fetch || version < 12 {
		t.Errorf("version %d has no such field", version)
	}
}

// TestDecodeEpoch: the epoch is that of the batch before the offset to go on at,
// also when nothing of it was handed out.
func TestDecodeEpoch(t *testing.T) {
	t.Parallel()
	epoch := func(n uint32) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[12:], n) }
	}
	first := with(sealedAt(0, None, value("a"), value("b")), epoch(3))
	second := with(sealedAt(2, None, value("c")), epoch(5))
	control := with(with(sealedAt(3, None, value("x")), attributes(attrControl)), epoch(6))
	for name, c := range map[string]struct {
		set   []byte
		from  int64
		epoch int32
	}{
		"nothing":         {nil, 4, 1},
		"a part of one":   {first[:40], 0, 1},
		"one":             {first, 0, 3},
		"the end of one":  {first, 1, 3},
		"one and a part":  {join(first, second[:40]), 0, 3},
		"two":             {join(first, second), 0, 5},
		"a control batch": {join(first, second, control), 0, 6},
		"passed over":     {first, 2, 1},
	} {
		d := newDecoder()
		d.epoch = 1
		if _, _, err := d.decode(c.set, c.from, nil); err != nil || d.epoch != c.epoch {
			t.Errorf("%s: epoch %d, %v, expected %d", name, d.epoch, err, c.epoch)
		}
	}
}
