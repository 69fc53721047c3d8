package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The header of a record batch, format 2, as far as append time goes.
const (
	batchLength    = 8  // int32: of what follows it
	batchLastDelta = 23 // int32
	batchMagic     = 16 // int8
	batchCRC       = 17 // uint32: of what follows it
	batchAttrs     = 21 // int16
	batchMaxTime   = 35 // int64, Unix ms
	batchHeader    = 61

	attrLogAppendTime = 0x08
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stamper writes this broker's time into batches that arrive. It marks them as
// stamped only when they leave (wire.go): a batch that arrives with the mark is
// given other times by the engine, but not the checksum that goes with them, and
// would be lost at the next start.
type stamper struct {
	now  func() time.Time
	last int64
}

// stamp stamps every batch of a request. A batch whose checksum is wrong is left
// as it is, for the engine to refuse.
func (s *stamper) stamp(r *kmsg.ProduceRequest) {
	// A clock set back must not date a record before the one in front of it.
	s.last = max(s.last, s.now().UnixMilli())
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			b := r.Topics[i].Partitions[j].Records
			if !whole(b) {
				continue
			}
			b[batchAttrs+1] &^= attrLogAppendTime
			binary.BigEndian.PutUint64(b[batchMaxTime:], uint64(s.last))
			seal(b)
		}
	}
}

// whole tells whether b is one batch and its checksum is right.
func whole(b []byte) bool {
	return len(b) >= batchHeader && b[batchMagic] == 2 &&
		binary.BigEndian.Uint32(b[batchCRC:]) == crc32.Checksum(b[batchAttrs:], castagnoli)
}

func seal(b []byte) {
	binary.BigEndian.PutUint32(b[batchCRC:], crc32.Checksum(b[batchAttrs:], castagnoli))
}

// mark says in each batch of a record set that its max timestamp is the broker's
// append time of all its records. It returns the last batch's offset, -1 if
// there is none.
func mark(set []byte) (last int64) {
	last = -1
	for len(set) >= batchHeader {
		n := int64(binary.BigEndian.Uint32(set[batchLength:])) + batchLength + 4
		if n < batchHeader || n > int64(len(set)) {
			return last
		}
		b := set[:n]
		set = set[n:]
		last = int64(binary.BigEndian.Uint64(b))
		if b[batchMagic] == 2 && b[batchAttrs+1]&attrControl == 0 {
			b[batchAttrs+1] |= attrLogAppendTime
			seal(b)
		}
	}
	return last
}
