package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

func newDecoder() *decoder { return &decoder{unpackedMax: 1 << 20, recordsMax: 1 << 16} }

// sealedAt encodes messages as one batch at an offset.
func sealedAt(base int64, codec Codec, messages ...stream.Message) []byte {
	var e encoder
	for i := range messages {
		e.add(&messages[i])
	}
	b := e.seal(nil, codec, 1000)
	binary.BigEndian.PutUint64(b, uint64(base))
	return b
}

// with changes a batch and makes its checksum right again.
func with(b []byte, change func(b []byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

func attributes(a uint16) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[21:], a) }
}

func producer(id int64) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint64(b[43:], uint64(id)) }
}

func join(batches ...[]byte) []byte { return bytes.Join(batches, nil) }

func text(records []click.Record) (s []string) {
	for _, r := range records {
		s = append(s, fmt.Sprintf("%d=%s", r.Offset, r.Value))
	}
	return s
}

func value(v string) stream.Message { return stream.Message{Value: []byte(v)} }

func TestEncodeDecode(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	blob := func() []byte {
		switch n := rng.IntN(300); n {
		case 0:
			return nil
		case 1:
			return []byte{}
		default:
			b := make([]byte, n)
			for i := range b {
				b[i] = byte('a' + rng.IntN(4))
			}
			return b
		}
	}
	d := newDecoder()
	for _, codec := range []Codec{None, LZ4, Zstd} {
		var e encoder
		for range 50 {
			var messages []stream.Message
			for range 1 + rng.IntN(300) {
				m := stream.Message{Key: blob(), Value: blob()}
				for range max(0, rng.IntN(6)-3) {
					m.Headers = append(m.Headers, click.Header{Key: string(blob()), Value: blob()})
				}
				messages = append(messages, m)
				before := len(e.records)
				e.add(&m)
				if size := recordSize(&m, e.n-1); len(e.records)-before != size+varintSize(int64(size)) {
					t.Fatalf("a record said to take %d bytes took %d", size, len(e.records)-before)
				}
			}
			batch := e.seal(nil, codec, 77)
			next, early, err := d.decode(batch, 0, nil)
			if err != nil || early || next != int64(len(messages)) || len(d.records) != len(messages) {
				t.Fatalf("%v: %d records of %d, next %d, %t, %v", codec, len(d.records), len(messages), next, early, err)
			}
			for i, r := range d.records {
				m := messages[i]
				same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
				h := click.MakeHeaders(m.Headers)
				if !same(r.Key, m.Key) || !same(r.Value, m.Value) || !bytes.Equal(r.Headers.Raw, h.Raw) || r.Headers.Count != h.Count || r.Append != 77 {
					t.Fatalf("%v: record %d is %+v, was %+v", codec, i, r, m)
				}
			}
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	a, b := sealedAt(10, None, value("a"), value("b"), value("c")), sealedAt(13, Zstd, value("d"), value("e"))
	tx := func(base, id int64, v string) []byte {
		return with(with(sealedAt(base, None, value(v)), attributes(attrTransactional)), producer(id))
	}
	control := func(base, id int64, kind byte) []byte {
		m := stream.Message{Key: []byte{0, 0, 0, kind}}
		return with(with(sealedAt(base, None, m), attributes(attrTransactional|attrControl)), producer(id))
	}
	const abort, commit = 0, 1
	for name, c := range map[string]struct {
		set     []byte
		from    int64
		aborted []aborted
		want    string
		next    int64
	}{
		"nothing":                         {nil, 5, nil, "[]", 5},
		"two batches":                     {join(a, b), 10, nil, "[10=a 11=b 12=c 13=d 14=e]", 15},
		"from inside a batch":             {join(a, b), 12, nil, "[12=c 13=d 14=e]", 15},
		"from behind a batch":             {join(a, b), 14, nil, "[14=e]", 15},
		"a gap":                           {join(a, sealedAt(20, None, value("z"))), 10, nil, "[10=a 11=b 12=c 20=z]", 21},
		"a torn batch":                    {join(a, b[:len(b)-1]), 10, nil, "[10=a 11=b 12=c]", 13},
		"a torn header":                   {join(a, b[:11]), 10, nil, "[10=a 11=b 12=c]", 13},
		"only a torn batch":               {a[:40], 10, nil, "[]", 10},
		"all records compacted":           {with(with(a, func(b []byte) { binary.BigEndian.PutUint32(b[57:], 0) })[:61], func(b []byte) { binary.BigEndian.PutUint32(b[8:], 49) }), 10, nil, "[]", 13},
		"a control batch":                 {join(a, control(13, 1, commit), sealedAt(14, None, value("x"))), 10, nil, "[10=a 11=b 12=c 14=x]", 15},
		"a control batch at end":          {join(a, control(13, 1, abort)), 10, nil, "[10=a 11=b 12=c]", 14},
		"committed":                       {join(tx(0, 7, "a"), control(1, 7, commit)), 0, nil, "[0=a]", 2},
		"aborted":                         {join(tx(0, 7, "a"), control(1, 7, abort)), 0, []aborted{{7, 0}}, "[]", 2},
		"another's abort":                 {join(tx(0, 7, "a"), tx(1, 8, "b"), control(2, 8, abort), control(3, 7, commit)), 0, []aborted{{8, 1}}, "[0=a]", 4},
		"aborted, then committed":         {join(tx(0, 7, "a"), control(1, 7, abort), tx(2, 7, "b"), control(3, 7, commit)), 0, []aborted{{7, 0}}, "[2=b]", 4},
		"committed, then aborted":         {join(tx(0, 7, "a"), control(1, 7, commit), tx(2, 7, "b"), control(3, 7, abort)), 0, []aborted{{7, 2}}, "[0=a]", 4},
		"aborted twice":                   {join(tx(0, 7, "a"), control(1, 7, abort), tx(2, 7, "b"), control(3, 7, abort)), 0, []aborted{{7, 0}, {7, 2}}, "[]", 4},
		"the abort alone in view":         {join(control(5, 7, abort), tx(6, 7, "b"), control(7, 7, commit)), 5, []aborted{{7, 0}}, "[6=b]", 8},
		"in the middle of an aborted one": {join(tx(0, 7, "a"), tx(1, 7, "b"), control(2, 7, abort)), 1, []aborted{{7, 0}}, "[]", 3},
		"not in a transaction":            {with(sealedAt(0, None, value("a")), producer(7)), 0, []aborted{{7, 0}}, "[0=a]", 1},
	} {
		d := newDecoder()
		next, early, err := d.decode(c.set, c.from, c.aborted)
		if got := fmt.Sprint(text(d.records)); got != c.want || next != c.next || early || err != nil {
			t.Errorf("%s: %s, next %d, %t, %v; want %s, next %d", name, got, next, early, err, c.want, c.next)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good, bad := sealedAt(0, None, value("a")), sealedAt(1, None, value("b"), value("c"))
	put := func(at int, v ...byte) func([]byte) { return func(b []byte) { copy(b[at:], v) } }
	bomb := sealedAt(1, Zstd, stream.Message{Value: make([]byte, 2<<20)})
	for name, c := range map[string]struct {
		set        []byte
		start, end int64
	}{
		"a wrong checksum":         {join(good, with(bad, put(60, 9))[:60], bad[60:]), 1, 3},
		"an old format":            {with(bad, put(16, 1)), 0, 0},
		"a negative length":        {join(good, []byte("\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff")), 1, 1},
		"a length below a header":  {join(good, []byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05abcd\x02")), 1, 1},
		"a negative offset":        {with(bad, put(0, 0xff)), 0, 0},
		"a negative last delta":    {with(bad, put(23, 0xff)), 0, 0},
		"a negative count":         {join(good, with(bad, put(57, 0xff))), 1, 3},
		"a count too large":        {join(good, with(bad, put(60, 3))), 1, 3},
		"a count too small":        {join(good, with(bad, put(60, 1))), 1, 3},
		"an unknown codec":         {join(good, with(bad, put(22, 6))), 1, 3},
		"not what the codec reads": {join(good, with(bad, put(22, byte(Zstd)))), 1, 3},
		"nor this one":             {join(good, with(bad, put(22, byte(Gzip)))), 1, 3},
		"nor this":                 {join(good, with(bad, put(22, byte(LZ4)))), 1, 3},
		"nor that":                 {join(good, with(bad, put(22, byte(Snappy)))), 1, 3},
		"a bomb":                   {join(good, bomb), 1, 2},
		"offsets that fall":        {join(good, with(bad, put(72, 0))), 1, 3},
		"a record too long":        {join(good, with(bad, put(61, 0x7e))), 1, 3},
	} {
		d := newDecoder()
		_, _, err := d.decode(c.set, 0, nil)
		var corrupt *stream.Corrupt
		if !errors.As(err, &corrupt) || !errors.Is(err, stream.ErrCorrupt) || corrupt.Start != c.start || corrupt.End != c.end {
			t.Errorf("%s: %v; want offsets %d to %d", name, err, c.start, c.end)
		}
		if n := len(d.records); n != int(min(c.start, 1)) {
			t.Errorf("%s: %d records before it", name, n)
		}
	}
	d := newDecoder()
	if _, _, err := d.decode(good, 0, nil); err != nil {
		t.Error(err)
	}
	d.appendTime = true
	if _, _, err := d.decode(good, 0, nil); !errors.Is(err, stream.ErrCreateTime) {
		t.Errorf("the producer's time: %v", err)
	}
	stamped := with(good, func(b []byte) { attributes(attrLogAppendTime)(b); binary.BigEndian.PutUint64(b[35:], 5) })
	if _, _, err := d.decode(stamped, 0, nil); err != nil || d.records[0].Append != 5 {
		t.Errorf("the broker's time: %v, %v", d.records, err)
	}
}

func TestDecodeStopsEarly(t *testing.T) {
	t.Parallel()
	var set []byte
	for i := range 5 {
		set = append(set, sealedAt(int64(3*i), LZ4, value("a"), value("b"), value("c"))...)
	}
	for _, d := range []*decoder{{unpackedMax: 1 << 20, recordsMax: 4}, {unpackedMax: 40, recordsMax: 100}} {
		next, all := int64(0), 0
		for turns := 0; next < 15; turns++ {
			from := next
			var err error
			if next, _, err = d.decode(set, from, nil); err != nil || next == from || turns > 9 {
				t.Fatalf("from %d to %d: %v", from, next, err)
			}
			for i, r := range d.records {
				if r.Offset != from+int64(i) {
					t.Fatalf("offset %d after %d", r.Offset, from+int64(i)-1)
				}
			}
			all += len(d.records)
		}
		if all != 15 {
			t.Errorf("%d records", all)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	var messages []stream.Message
	for range 1000 {
		messages = append(messages, stream.Message{Key: []byte("key"), Value: bytes.Repeat([]byte("v"), 100)})
	}
	for _, codec := range []Codec{None, LZ4, Zstd} {
		d, set := newDecoder(), join(sealedAt(0, codec, messages...), sealedAt(1000, codec, messages...))
		allocs := testing.AllocsPerRun(20, func() {
			if _, _, err := d.decode(set, 0, nil); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 20 { // the codecs have some of their own, none for each record
			t.Errorf("%v: %v allocations for 2000 records", codec, allocs)
		}
	}
}

func TestMurmur2(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]uint32{
		"kafka": 0xd067cf64, "giberish123456789": 0x8f552b0c, "1234": 0x9fc97b14, "234": 0xe7c009ca, "34": 0x873930da,
		"4": 0x5a4b5ca1, "PreAmbleWillBeRemoved,ThePrePartThatIs": 0x78424f1c, "": 0x106e08d9,
	} {
		if got := murmur2([]byte(key)); got != want {
			t.Errorf("%q: %08x, want %08x", key, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, codec := range []Codec{None, LZ4, Zstd} {
		f.Add(sealedAt(3, codec, value("a"), stream.Message{Key: []byte("k"), Headers: []click.Header{{Key: "h"}}}), int64(3), false)
	}
	f.Add(with(sealedAt(0, None, value("a")), attributes(attrControl)), int64(0), true)
	f.Fuzz(func(t *testing.T, set []byte, from int64, fix bool) {
		if from < 0 {
			return
		}
		if fix { // let the bytes past the checksum
			for rest := set; len(rest) >= batchHeader; {
				n := int64(int32(binary.BigEndian.Uint32(rest[8:]))) + batchPrefix
				if n < batchHeader || n > int64(len(rest)) {
					break
				}
				binary.BigEndian.PutUint32(rest[17:], crc32.Checksum(rest[21:n], castagnoli))
				rest = rest[n:]
			}
		}
		d := &decoder{unpackedMax: 1 << 16, recordsMax: 1 << 10}
		next, _, err := d.decode(set, from, []aborted{{1, 0}})
		if next < from {
			t.Fatalf("from %d back to %d", from, next)
		}
		last := from - 1
		for _, r := range d.records {
			if r.Offset <= last || r.Offset >= next {
				t.Fatalf("offset %d after %d, next %d", r.Offset, last, next)
			}
			last = r.Offset
			if !r.Headers.Each(func(_, _ []byte) bool { return true }) {
				t.Fatal("malformed headers are handed out")
			}
		}
		if err != nil && !errors.Is(err, stream.ErrCorrupt) {
			t.Fatalf("error %v", err)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseMetadata(b)
		if got, err := parseFetch(b, nil); err != nil && len(got.set) > 0 {
			t.Fatal("a malformed answer gives records")
		}
		_ = (&produced{codes: make(map[int32]int16)}).parse(b)
		_ = new(answerToJoin).parse(&decoding{b: b})
	})
}
