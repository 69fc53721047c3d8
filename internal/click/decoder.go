package click

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrWire is what every decoder of this room returns, wrapped with the place.
var ErrWire = errors.New("malformed")

// Decoder walks a buffer and remembers its first fault, so that a format reads
// as a list of fields and is checked once at the end. After a fault every read
// returns zero values. It refuses what the Append functions do not write, a
// number with needless bytes for one, so that a value has one encoding only.
type Decoder struct {
	b   []byte
	bad bool
}

// NewDecoder starts at the beginning of b. What it returns may be views into b.
func NewDecoder(b []byte) Decoder { return Decoder{b: b} }

// Fail marks what was read as malformed.
func (d *Decoder) Fail() { d.bad, d.b = true, nil }

// Bad tells whether something malformed was met.
func (d *Decoder) Bad() bool { return d.bad }

// More tells whether bytes are left.
func (d *Decoder) More() bool { return len(d.b) > 0 }

// End returns [ErrWire], wrapped with what was read, after a fault or when bytes are left.
func (d *Decoder) End(what string) error {
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%s: %w", what, ErrWire)
	}
	return nil
}

// Version reads a format's first byte and refuses another than the one wanted.
func (d *Decoder) Version(want byte, what string) error {
	if got := d.Byte(); d.bad || got != want {
		return fmt.Errorf("%s: %w: format version %d, this program reads %d", what, ErrWire, got, want)
	}
	return nil
}

// Versions reads the first byte of a format with versions from first to last.
func (d *Decoder) Versions(first, last byte, what string) (byte, error) {
	got := d.Byte()
	if d.bad || got < first || got > last {
		return 0, fmt.Errorf("%s: %w: format version %d, this program reads %d to %d", what, ErrWire, got, first, last)
	}
	return got, nil
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if len(d.b) == 0 {
		d.Fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// Flag reads a byte that is 0 or 1.
func (d *Decoder) Flag() bool {
	c := d.Byte()
	if c > 1 {
		d.Fail()
	}
	return c == 1
}

// shortest tells whether the n bytes at the head of b are a varint as it is
// written: the last byte of a longer one is never zero.
func shortest(b []byte, n int) bool { return n == 1 || n > 1 && b[n-1] != 0 }

// Uint reads an unsigned varint.
func (d *Decoder) Uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if !shortest(d.b, n) {
		d.Fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// Int reads a signed varint.
func (d *Decoder) Int() int64 {
	v, n := binary.Varint(d.b)
	if !shortest(d.b, n) {
		d.Fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// Uint64 reads eight bytes, big endian.
func (d *Decoder) Uint64() uint64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// Count reads a length and refuses one that the rest of the buffer cannot hold
// at size bytes each, so that a forged length allocates nothing.
func (d *Decoder) Count(size int) int {
	n := d.Uint()
	if n > uint64(len(d.b)/size) {
		d.Fail()
		return 0
	}
	return int(n)
}

func (d *Decoder) take(n int) []byte {
	if n > len(d.b) {
		d.Fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// Bytes reads a length and as many bytes, as a view.
func (d *Decoder) Bytes() []byte { return d.take(d.Count(1)) }

// Text reads what [AppendBytes] wrote. It returns old itself when the bytes are
// the same, so that a name met again and again is allocated once.
func (d *Decoder) Text(old string) string {
	if b := d.Bytes(); string(b) != old {
		return string(b)
	}
	return old
}

// Total reads a running total, which is never negative.
func (d *Decoder) Total() int64 {
	v := d.Uint()
	if v > 1<<62 {
		d.Fail()
		return 0
	}
	return int64(v)
}

// Time reads what [AppendTime] wrote.
func (d *Decoder) Time() int64 {
	if !d.Flag() {
		return None
	}
	ms := d.Int()
	if ms == None {
		d.Fail() // written as a single byte
	}
	return ms
}

// State reads a state's byte.
func (d *Decoder) State() State {
	s := State(d.Byte())
	if s < Provisional || s > Corrected {
		d.Fail()
	}
	return s
}

// Rows reads what [AppendRows] wrote and reuses a slice. The ads are views.
func (d *Decoder) Rows(into []Row, digests bool) []Row {
	into = into[:0]
	for range d.Count(2) {
		ad := d.Bytes()
		row := Row{Ad: ad, Count: d.Total()}
		if digests {
			row.Digest = d.Uint64()
		}
		into = append(into, row)
		if d.bad {
			return nil
		}
	}
	return into
}

// source reads what appendSource wrote and reuses s's topic.
func (d *Decoder) source(s *Source) {
	copy(s.ID[:], d.take(len(s.ID)))
	p := d.Uint()
	if p > 1<<31-1 {
		d.Fail()
	}
	s.Partition = int32(p)
	s.Topic = d.Text(s.Topic)
}

// account reads what [AppendAccount] wrote.
func (d *Decoder) account() (a Account) {
	for _, v := range [...]*int64{&a.Skipped, &a.Received, &a.Marks, &a.Late, &a.Routed} {
		*v = d.Total()
	}
	n := int(d.Byte())
	if n > len(a.Rejected) {
		d.Fail()
		return a
	}
	for i := range n {
		a.Rejected[i] = d.Total()
	}
	if n > 0 && a.Rejected[n-1] == 0 {
		d.Fail() // not how it is written: one value has one encoding
	}
	return a
}

// ParseAccount reads an account and returns what follows it.
func ParseAccount(b []byte) (Account, []byte, error) {
	d := NewDecoder(b)
	a := d.account()
	if d.bad {
		return Account{}, nil, fmt.Errorf("account: %w", ErrWire)
	}
	return a, d.b, nil
}
