package click

import "encoding/binary"

// Record is one record of a partition. Its bytes are views that stay valid
// until the next read of the reader they came from.
type Record struct {
	Offset  int64
	Append  int64 // broker's append time, Unix ms
	Key     []byte
	Value   []byte // nil when the record has no value (a tombstone), empty when it has an empty one
	Headers Headers
}

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Headers are the headers of one record, kept as they came and read on demand:
// on the hot path most records have none and none is looked at.
type Headers struct {
	// Raw holds Count headers in Kafka's record format: a varint length and the
	// key, a varint length and the value, where length -1 is a null value.
	Raw   []byte
	Count int
}

// Each calls f for every header until f returns false. It stops at the first
// byte that is not a header and reports whether all were well formed.
func (h Headers) Each(f func(key, value []byte) bool) bool {
	b := h.Raw
	for range h.Count {
		key, rest, ok := takeHeader(b)
		if !ok || key == nil {
			return false
		}
		value, rest, ok := takeHeader(rest)
		if !ok {
			return false
		}
		b = rest
		if !f(key, value) {
			return true
		}
	}
	return true
}

// Get returns the value of the first header with this name.
func (h Headers) Get(name string) (value []byte, ok bool) {
	h.Each(func(k, v []byte) bool {
		if string(k) == name {
			value, ok = v, true
		}
		return !ok
	})
	return value, ok
}

// MakeHeaders encodes headers as a reader would hand them out.
func MakeHeaders(headers []Header) Headers {
	var raw []byte
	for _, h := range headers {
		raw = binary.AppendVarint(raw, int64(len(h.Key)))
		raw = append(raw, h.Key...)
		if h.Value == nil {
			raw = binary.AppendVarint(raw, -1)
			continue
		}
		raw = binary.AppendVarint(raw, int64(len(h.Value)))
		raw = append(raw, h.Value...)
	}
	return Headers{Raw: raw, Count: len(headers)}
}

func takeHeader(b []byte) (field, rest []byte, ok bool) {
	n, k := binary.Varint(b)
	if k <= 0 || n < -1 || n > int64(len(b)-k) {
		return nil, nil, false
	}
	b = b[k:]
	if n < 0 {
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}
