package click

import (
	"encoding/hex"
	"slices"
	"strconv"
)

// LetterBytes bounds the key and the value that a letter keeps, of which a longer one's
// beginning is kept, and the original headers, which are left out together when longer.
// Without it a record at the log's size limit could not be put aside.
const LetterBytes = 64 << 10

// Letter makes what lies on the rejected or late topic of a record: its key, value and
// headers, and beside these where it stands and why it is there. It keeps no view of the record.
func Letter(src Source, r *Record, reason, detail string) (key, value []byte, headers []Header) {
	if len(r.Headers.Raw) <= LetterBytes {
		r.Headers.Each(func(k, v []byte) bool {
			headers = append(headers, Header{Key: string(k), Value: slices.Clone(v)})
			return true
		})
	}
	headers = append(headers,
		Header{Key: HeaderReason, Value: []byte(reason)},
		Header{Key: HeaderDetail, Value: []byte(detail)},
		Header{Key: HeaderTopic, Value: []byte(src.Topic)},
		NumberHeader(HeaderPartition, int64(src.Partition)),
		NumberHeader(HeaderOffset, r.Offset),
		Header{Key: HeaderIncarnation, Value: []byte(hex.EncodeToString(src.ID[:]))},
		NumberHeader(HeaderAppendTime, r.Append))
	key, value = r.Key, r.Value
	if max(len(key), len(value), len(r.Headers.Raw)) > LetterBytes {
		headers = append(headers, NumberHeader(HeaderBytes, int64(len(value))))
		key, value = key[:min(len(key), LetterBytes)], value[:min(len(value), LetterBytes)]
	}
	return slices.Clone(key), slices.Clone(value), headers
}

// NumberHeader is a header whose value is a number in decimal digits.
func NumberHeader(key string, n int64) Header {
	return Header{Key: key, Value: strconv.AppendInt(nil, n, 10)}
}
