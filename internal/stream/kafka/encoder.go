package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"github.com/clickagg/clickagg/internal/stream"
)

// encoder builds one record batch after another. It is reused.
type encoder struct {
	records []byte
	n       int32
	pack    packer
}

// add appends a message to the batch at hand. Every record of a batch carries
// the batch's time: a message has none of its own.
func (e *encoder) add(m *stream.Message) {
	b := binary.AppendVarint(e.records, int64(recordSize(m, e.n)))
	b = append(b, 0, 0) // attributes, timestamp delta
	b = binary.AppendVarint(b, int64(e.n))
	b = appendNullable(b, m.Key)
	b = appendNullable(b, m.Value)
	b = binary.AppendVarint(b, int64(len(m.Headers)))
	for i := range m.Headers {
		b = binary.AppendVarint(b, int64(len(m.Headers[i].Key)))
		b = append(b, m.Headers[i].Key...)
		b = appendNullable(b, m.Headers[i].Value)
	}
	e.records = b
	e.n++
}

// room tells whether the batch at hand takes the message within a size; an
// empty batch takes any.
func (e *encoder) room(m *stream.Message, size int) bool {
	return e.n == 0 || batchHeader+len(e.records)+recordSize(m, e.n)+binary.MaxVarintLen32 <= size
}

// seal appends the batch at hand to dst, stamped with a time in Unix
// milliseconds, and begins a new one.
func (e *encoder) seal(dst []byte, codec Codec, now int64) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, batchHeader)...)
	if codec == None {
		dst = append(dst, e.records...)
	} else {
		dst = e.pack.append(dst, codec, e.records)
	}
	h, be := dst[start:], binary.BigEndian
	be.PutUint64(h[0:], 0)
	be.PutUint32(h[8:], uint32(len(h)-batchPrefix))
	be.PutUint32(h[12:], ^uint32(0))
	h[16] = 2
	be.PutUint16(h[21:], uint16(codec))
	be.PutUint32(h[23:], uint32(e.n-1))
	be.PutUint64(h[27:], uint64(now))
	be.PutUint64(h[35:], uint64(now))
	be.PutUint64(h[43:], ^uint64(0)) // no producer id,
	be.PutUint16(h[51:], ^uint16(0)) // epoch
	be.PutUint32(h[53:], ^uint32(0)) // or sequence: a repeat is not an event here
	be.PutUint32(h[57:], uint32(e.n))
	be.PutUint32(h[17:], crc32.Checksum(h[21:], castagnoli))
	e.records, e.n = e.records[:0], 0
	return dst
}

func recordSize(m *stream.Message, delta int32) int {
	n := 2 + varintSize(int64(delta)) + nullableSize(m.Key) + nullableSize(m.Value) + varintSize(int64(len(m.Headers)))
	for i := range m.Headers {
		k := len(m.Headers[i].Key)
		n += varintSize(int64(k)) + k + nullableSize(m.Headers[i].Value)
	}
	return n
}

func nullableSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendNullable(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

func varintSize(v int64) int {
	zigzag := uint64(v<<1) ^ uint64(v>>63)
	return (bits.Len64(zigzag|1) + 6) / 7
}
