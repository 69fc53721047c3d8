package click

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrWire is what every decoder of this room returns, wrapped with the place.
var ErrWire = errors.New("malformed")

// decoder walks a buffer and remembers its first fault, so that a format reads
// as a list of fields and is checked once at the end.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a length and refuses one that the rest of the buffer cannot hold
// at size bytes each, so that a forged length allocates nothing.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte { return d.take(d.count(1)) }

// total reads a running total, which is never negative.
func (d *decoder) total() int64 {
	v := d.uint()
	if v > 1<<62 {
		d.fail()
		return 0
	}
	return int64(v)
}

// time reads what appendTime wrote.
func (d *decoder) time() int64 {
	switch d.byte() {
	case 0:
		return None
	case 1:
		return d.int()
	}
	d.fail()
	return None
}

func (d *decoder) version(want byte, what string) error {
	if got := d.byte(); d.bad || got != want {
		return fmt.Errorf("%s: %w: format version %d, this program reads %d", what, ErrWire, got, want)
	}
	return nil
}

func appendBytes[T []byte | string](b []byte, v T) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendTotal(b []byte, v int64) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendTime(b []byte, ms int64) []byte {
	if ms == None {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), ms)
}

func appendSource(b []byte, s Source) []byte {
	b = append(b, s.ID[:]...)
	b = binary.AppendUvarint(b, uint64(s.Partition))
	return appendBytes(b, s.Topic)
}

func (d *decoder) source() (s Source) {
	copy(s.ID[:], d.take(len(s.ID)))
	p := d.uint()
	if p > 1<<31-1 {
		d.fail()
	}
	s.Partition = int32(p)
	s.Topic = string(d.bytes())
	return s
}

// AppendAccount encodes the account; it is part of sections, partials and the
// mapper's committed position.
func AppendAccount(b []byte, a *Account) []byte {
	for _, v := range [...]int64{a.Skipped, a.Received, a.Marks, a.Late, a.Routed} {
		b = appendTotal(b, v)
	}
	last := len(a.Rejected)
	for last > 0 && a.Rejected[last-1] == 0 {
		last--
	}
	b = append(b, byte(last))
	for _, v := range a.Rejected[:last] {
		b = appendTotal(b, v)
	}
	return b
}

func (d *decoder) account() (a Account) {
	for _, v := range [...]*int64{&a.Skipped, &a.Received, &a.Marks, &a.Late, &a.Routed} {
		*v = d.total()
	}
	n := int(d.byte())
	if n > len(a.Rejected) {
		d.fail()
		return a
	}
	for i := range n {
		a.Rejected[i] = d.total()
	}
	if n > 0 && a.Rejected[n-1] == 0 {
		d.fail() // not how it is written: one value has one encoding
	}
	return a
}

// ParseAccount reads an account and returns what follows it.
func ParseAccount(b []byte) (Account, []byte, error) {
	d := decoder{b: b}
	a := d.account()
	if d.bad {
		return Account{}, nil, fmt.Errorf("account: %w", ErrWire)
	}
	return a, d.b, nil
}
