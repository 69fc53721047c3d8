package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/segmentio/kafka-go/protocol"
)

// exchange is one request and its answer over a connection of kafka-go's
// transport, encoded and decoded here. It serves one round trip.
//
// The transport cannot call a round trip back: when ctx ends, the goroutine of
// the connection still uses the buffers until its deadline. So a buffer is used
// again only after a round trip that returned without an error.
type exchange struct {
	api     protocol.ApiKey
	request []byte // whole, with its size in front
	answer  []byte // what the answer is read into, if it is large enough
	maxSize int    // of the answer
	leader  func(protocol.Cluster) (protocol.Broker, error)
}

var (
	_ protocol.RawExchanger = (*exchange)(nil)
	_ protocol.Message      = (*routed)(nil)
)

// routed is an exchange that must reach a certain broker.
type routed struct{ exchange }

// Broker is the broker to send to.
func (r *routed) Broker(c protocol.Cluster) (protocol.Broker, error) { return r.leader(c) }

// ApiKey is the number of the API.
func (e *exchange) ApiKey() protocol.ApiKey { return e.api }

// Required says that the exchange speaks for itself.
func (e *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

const correlation = 0x636c6b // any: a connection carries one request at a time

// RawExchange writes the request and reads the answer.
func (e *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(e.request); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:])) - 4
	if n < 0 || n > int64(e.maxSize) {
		return nil, fmt.Errorf("answer of %d bytes, at most %d expected: is this a Kafka broker?", n, e.maxSize)
	}
	if got := binary.BigEndian.Uint32(head[4:]); got != correlation {
		return nil, fmt.Errorf("answer to request %d, expected %d", got, correlation)
	}
	if int64(cap(e.answer)) < n {
		e.answer = make([]byte, n+n/8)
	}
	e.answer = e.answer[:n]
	if _, err := io.ReadFull(rw, e.answer); err != nil {
		return nil, err
	}
	return e, nil
}

// leaderOf routes to the leader of a partition.
func leaderOf(topic string, partition int32) func(protocol.Cluster) (protocol.Broker, error) {
	return func(c protocol.Cluster) (protocol.Broker, error) {
		none := protocol.Broker{ID: -1}
		t, ok := c.Topics[topic]
		if !ok {
			return none, protocol.NewErrNoTopic(topic)
		}
		p, ok := t.Partitions[partition]
		if !ok {
			return none, protocol.NewErrNoPartition(topic, partition)
		}
		b, ok := c.Brokers[p.Leader]
		if !ok {
			return none, protocol.NewErrNoLeader(topic, partition)
		}
		return b, nil
	}
}

// unrouted tells whether a request found no leader to go to because its topic or
// partition is not known: deleted, or made a moment ago.
func unrouted(err error) bool {
	return errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

// encoding appends the parts of a request.
type encoding struct{ b []byte }

// begin starts a request after b: its size, filled in by end, and its header.
// A flexible header ends in an empty list of tagged fields.
func begin(b []byte, api protocol.ApiKey, version int16, client string, flexible bool) encoding {
	e := encoding{b: append(b, 0, 0, 0, 0)}
	e.i16(int16(api))
	e.i16(version)
	e.i32(correlation)
	e.str(client)
	if flexible {
		e.tags()
	}
	return e
}

func (e *encoding) end() []byte {
	binary.BigEndian.PutUint32(e.b, uint32(len(e.b)-4))
	return e.b
}

func (e *encoding) i8(v int8)        { e.b = append(e.b, byte(v)) }
func (e *encoding) i16(v int16)      { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoding) i32(v int32)      { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoding) i64(v int64)      { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoding) raw(v []byte)     { e.b = append(e.b, v...) }
func (e *encoding) tags()            { e.b = append(e.b, 0) }
func (e *encoding) size(n int)       { e.b = binary.AppendUvarint(e.b, uint64(n+1)) } // of a compact array or string; -1 is null
func (e *encoding) compact(s string) { e.size(len(s)); e.b = append(e.b, s...) }

func (e *encoding) str(s string) {
	e.i16(int16(len(s)))
	e.b = append(e.b, s...)
}

var zeroes [16]byte // never written to

var errAnswer = errors.New("malformed answer")

// decoding walks an answer and remembers its first fault.
type decoding struct {
	b   []byte
	bad bool
}

func (d *decoding) err() error {
	if d.bad {
		return errAnswer
	}
	return nil
}

// take returns the next n bytes, or zeroes after a fault; n is at most 16 then.
func (d *decoding) take(n int64) []byte {
	if n < 0 || n > int64(len(d.b)) {
		d.bad, d.b = true, nil
		return zeroes[:]
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoding) i8() int8   { return int8(d.take(1)[0]) }
func (d *decoding) i16() int16 { return int16(binary.BigEndian.Uint16(d.take(2))) }
func (d *decoding) i32() int32 { return int32(binary.BigEndian.Uint32(d.take(4))) }
func (d *decoding) i64() int64 { return int64(binary.BigEndian.Uint64(d.take(8))) }
func (d *decoding) str() string {
	n := d.i16()
	if n < 0 {
		return ""
	}
	return d.text(int64(n))
}

func (d *decoding) text(n int64) string {
	v := d.take(n)
	if d.bad {
		return ""
	}
	return string(v)
}

func (d *decoding) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > math.MaxInt32 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// size reads the length of a compact array or string; 0 for a null one.
func (d *decoding) size() int64 {
	n := int64(d.uvarint()) - 1
	if n > int64(len(d.b)) {
		d.bad, d.b = true, nil
	}
	if d.bad {
		return 0
	}
	return max(n, 0)
}

// count reads the length of an array whose elements take at least a byte each.
func (d *decoding) count() int64 {
	n := int64(d.i32())
	if n > int64(len(d.b)) {
		d.bad, d.b = true, nil
	}
	if d.bad {
		return 0
	}
	return max(n, 0)
}

func (d *decoding) compact() string { return d.text(d.size()) }

func (d *decoding) tags() { d.tagged(func(uint64, *decoding) {}) }

// tagged calls f with each tagged field.
func (d *decoding) tagged(f func(tag uint64, field *decoding)) {
	for range d.uvarint() {
		tag := d.uvarint()
		field := decoding{b: d.take(int64(d.uvarint()))}
		if d.bad {
			return
		}
		f(tag, &field)
		d.bad = d.bad || field.bad
	}
}
