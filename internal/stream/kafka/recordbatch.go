package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// A record batch, format 2: a header of 61 bytes, then the records, together
// compressed or not. All numbers of the header are big-endian.
//
//	 0 int64  base offset
//	 8 int32  length of what follows this field
//	12 int32  leader epoch
//	16 int8   magic = 2
//	17 uint32 CRC-32C of what follows this field
//	21 int16  attributes
//	23 int32  last offset delta
//	27 int64  base timestamp
//	35 int64  max timestamp
//	43 int64  producer id, int16 epoch, int32 base sequence
//	57 int32  number of records
//
// A record: varint length, then int8 attributes, varint timestamp delta, varint
// offset delta, key, value (varint length, -1 for none, and bytes), varint
// number of headers and the headers.
const (
	batchPrefix = 12 // base offset and length
	batchHeader = 61

	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchView is one record batch in the bytes of a response.
type batchView struct {
	bytes []byte
}

func (v batchView) base() int64        { return int64(binary.BigEndian.Uint64(v.bytes)) }
func (v batchView) epoch() int32       { return int32(binary.BigEndian.Uint32(v.bytes[12:])) }
func (v batchView) crc() uint32        { return binary.BigEndian.Uint32(v.bytes[17:]) }
func (v batchView) attributes() uint16 { return binary.BigEndian.Uint16(v.bytes[21:]) }
func (v batchView) lastDelta() int32   { return int32(binary.BigEndian.Uint32(v.bytes[23:])) }
func (v batchView) baseTime() int64    { return int64(binary.BigEndian.Uint64(v.bytes[27:])) }
func (v batchView) maxTime() int64     { return int64(binary.BigEndian.Uint64(v.bytes[35:])) }
func (v batchView) producer() int64    { return int64(binary.BigEndian.Uint64(v.bytes[43:])) }
func (v batchView) count() int32       { return int32(binary.BigEndian.Uint32(v.bytes[57:])) }
func (v batchView) next() int64        { return v.base() + int64(v.lastDelta()) + 1 }

// takeBatch cuts the first batch off a record set. ok is false when what is
// left is not a whole batch, which is how a response ends that was cut at its
// size limit.
func takeBatch(set []byte) (v batchView, rest []byte, ok bool, err error) {
	if len(set) < batchPrefix {
		return v, nil, false, nil
	}
	length := int64(int32(binary.BigEndian.Uint32(set[8:])))
	if length < 0 {
		return v, nil, false, errors.New("negative batch length")
	}
	if length > int64(len(set)-batchPrefix) {
		return v, nil, false, nil
	}
	whole := batchPrefix + int(length)
	if len(set) > 16 && set[16] != 2 {
		return v, nil, false, fmt.Errorf("message format %d is older than Kafka 0.11 and cannot be read", set[16])
	}
	if whole < batchHeader {
		return v, nil, false, fmt.Errorf("batch of %d bytes is shorter than its header", whole)
	}
	v.bytes = set[:whole:whole]
	if v.base() < 0 || v.lastDelta() < 0 || v.base() > math.MaxInt64-math.MaxInt32-1 {
		return batchView{}, nil, false, fmt.Errorf("batch at offset %d with last delta %d", v.base(), v.lastDelta())
	}
	return v, set[whole:], true, nil
}

// aborted is one aborted transaction of a fetch response.
type aborted struct{ producer, first int64 }

// decoder turns record sets into records. It is reused from response to
// response; the records of one are valid until the next call.
type decoder struct {
	// What is decoded into.
	records []click.Record
	plain   []byte // what was unpacked of compressed batches
	epoch   int32  // of the last batch that was gone through; stays when there was none

	unpackedMax int // bytes one batch may unpack to
	recordsMax  int // records of one call
	appendTime  bool

	unpack unpacker
	live   map[int64]struct{} // producers whose transaction at this place was aborted
}

// decode appends the records of a record set from an offset on and returns the
// offset to go on at, which is from itself when the set holds no whole batch.
// It stops early, between two records, at recordsMax and, between two batches,
// when unpackedMax bytes are unpacked. On an error the records before it are
// there; the error is a *stream.Corrupt without its place, or stream.ErrCreateTime.
func (d *decoder) decode(set []byte, from int64, abortedList []aborted) (next int64, early bool, err error) {
	d.records, d.plain = d.records[:0], d.plain[:0]
	clear(d.live)
	next = from
	for len(set) > 0 {
		v, rest, ok, err := takeBatch(set)
		if err != nil {
			return next, false, &stream.Corrupt{Start: next, End: next, Reason: err.Error()}
		}
		if !ok {
			return next, false, nil
		}
		set = rest
		if v.next() <= next {
			continue // the broker answers with the whole batch that holds the offset
		}
		if len(d.records) >= d.recordsMax || len(d.plain) >= d.unpackedMax {
			return next, true, nil
		}
		if got := crc32.Checksum(v.bytes[21:], castagnoli); got != v.crc() {
			reason := fmt.Sprintf("checksum is %08x, the batch says %08x", got, v.crc())
			return next, false, &stream.Corrupt{Start: max(next, v.base()), End: v.next(), Reason: reason}
		}
		if d.skip(v, abortedList) {
			next, d.epoch = v.next(), v.epoch()
			continue
		}
		if d.appendTime && v.attributes()&attrLogAppendTime == 0 {
			return next, false, stream.ErrCreateTime
		}
		whole := len(d.records)
		reached, err := d.batch(v, next)
		if err != nil {
			d.records = d.records[:whole]
			return next, false, &stream.Corrupt{Start: max(next, v.base()), End: v.next(), Reason: err.Error()}
		}
		next, d.epoch = reached, v.epoch()
	}
	return next, false, nil
}

// skip tells whether a batch holds nothing for a reader of committed records:
// control batches, and batches of a transaction that was aborted later.
func (d *decoder) skip(v batchView, list []aborted) bool {
	attributes, producer := v.attributes(), v.producer()
	if attributes&(attrControl|attrTransactional) == 0 {
		return false
	}
	for i, a := range list {
		if a.producer == producer && a.first < v.next() {
			if d.live == nil {
				d.live = make(map[int64]struct{})
			}
			d.live[producer] = struct{}{}
			list[i].producer = -1 // one transaction: used up, it must not hide the next
		}
	}
	_, hidden := d.live[producer]
	if attributes&attrControl == 0 {
		return hidden
	}
	if endsAborted(v) {
		delete(d.live, producer)
	}
	return true
}

// endsAborted tells whether a control batch ends a transaction by aborting it:
// the key of its one record is int16 version, int16 type, 0 for an abort.
func endsAborted(v batchView) bool {
	if v.attributes()&attrCodec != 0 {
		return false
	}
	r, _, err := takeRecord(v.bytes[batchHeader:])
	return err == nil && len(r.key) >= 4 && binary.BigEndian.Uint16(r.key[2:]) == 0
}

// batch appends the records of one batch and returns the offset to go on at.
func (d *decoder) batch(v batchView, from int64) (next int64, err error) {
	body := v.bytes[batchHeader:]
	if codec := Codec(v.attributes() & attrCodec); codec != None {
		start := len(d.plain)
		if d.plain, err = d.unpack.append(d.plain, codec, body, d.unpackedMax); err != nil {
			d.plain = d.plain[:start]
			return from, err
		}
		body = d.plain[start:len(d.plain):len(d.plain)]
	}
	n, logAppend := v.count(), v.attributes()&attrLogAppendTime != 0
	if n < 0 {
		return from, fmt.Errorf("batch of %d records", n)
	}
	at, base, last := v.maxTime(), v.base(), int64(-1)
	for i := range n {
		r, rest, err := takeRecord(body)
		if err != nil {
			return from, fmt.Errorf("record %d of %d: %w", i, n, err)
		}
		body = rest
		if r.offset <= last || r.offset > int64(v.lastDelta()) {
			return from, fmt.Errorf("record %d of %d: offset delta %d after %d, at most %d", i, n, r.offset, last, v.lastDelta())
		}
		last = r.offset
		offset := base + r.offset
		if offset < from {
			continue
		}
		if len(d.records) >= d.recordsMax {
			return offset, nil
		}
		if !logAppend {
			at = v.baseTime() + r.time
		}
		d.records = append(d.records, click.Record{
			Offset: offset, Append: at, Key: r.key, Value: r.value,
			Headers: click.Headers{Raw: r.headers, Count: r.count},
		})
	}
	if len(body) != 0 {
		return from, fmt.Errorf("%d bytes after the last of %d records", len(body), n)
	}
	return v.next(), nil
}

// recordView is one record of a batch, as views.
type recordView struct {
	time, offset int64 // relative to the batch
	key, value   []byte
	headers      []byte
	count        int // of headers
}

var errRecord = errors.New("malformed record")

func takeRecord(b []byte) (r recordView, rest []byte, err error) {
	length, n := binary.Varint(b)
	if n <= 0 || length < 1 || length > int64(len(b)-n) {
		return r, nil, errRecord
	}
	rest = b[n+int(length):]
	b = b[n : n+int(length) : n+int(length)]
	b = b[1:] // attributes: none are defined
	if r.time, n = binary.Varint(b); n <= 0 {
		return r, nil, errRecord
	}
	b = b[n:]
	if r.offset, n = binary.Varint(b); n <= 0 {
		return r, nil, errRecord
	}
	var ok bool
	if r.key, b, ok = takeBytes(b[n:]); !ok {
		return r, nil, errRecord
	}
	if r.value, b, ok = takeBytes(b); !ok {
		return r, nil, errRecord
	}
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 || count > int64(len(b)-n)/2 {
		return r, nil, errRecord
	}
	r.count = int(count)
	if r.headers = b[n:]; r.count == 0 {
		if len(r.headers) != 0 {
			return r, nil, errRecord
		}
		return r, rest, nil
	}
	whole := click.Headers{Raw: r.headers, Count: r.count}.Each(func(_, _ []byte) bool { return true })
	if !whole {
		return r, nil, errRecord
	}
	return r, rest, nil
}

// takeBytes reads a varint length and as many bytes; nil for the length -1.
func takeBytes(b []byte) (v, rest []byte, ok bool) {
	length, n := binary.Varint(b)
	if n <= 0 || length < -1 || length > int64(len(b)-n) {
		return nil, nil, false
	}
	b = b[n:]
	if length < 0 {
		return nil, b, true
	}
	return b[:length:length], b[length:], true
}
