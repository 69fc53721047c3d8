package window

import (
	"encoding/binary"
	"errors"

	"github.com/clickagg/clickagg/internal/click"
)

// decoder walks a snapshot and remembers its first fault; after one it reads zeroes.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = errors.New(what)
	}
	d.b = nil
}

// take returns the next n bytes, or none when there are fewer.
func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("cut short")
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

// uint reads a uvarint.
func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("a number out of range")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// uint64 reads eight bytes, big endian.
func (d *decoder) uint64() uint64 {
	if v := d.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// int reads a uvarint up to a limit.
func (d *decoder) int(limit int64) int64 {
	v := d.uint()
	if v > uint64(limit) {
		d.fail("a number out of range")
		return 0
	}
	return int64(v)
}

// count reads the length of a list whose items take at least size bytes each,
// and refuses one that the rest cannot hold: damage allocates nothing.
func (d *decoder) count(size int) int { return int(d.int(int64(len(d.b) / size))) }

func (d *decoder) time() int64 {
	if d.byte() == 0 {
		return click.None
	}
	ms, n := binary.Varint(d.b)
	if n <= 0 || ms < -timeMax || ms > timeMax {
		d.fail("a time out of range")
		return click.None
	}
	d.b = d.b[n:]
	return ms
}
