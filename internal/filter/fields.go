package filter

import (
	"bytes"
	"net/netip"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// Field is one field of a click that a set reads.
type Field struct {
	Name string
	Type Type
}

// Fields are the values of one click, in the order of [Set.Needs], and what was
// found out about them. They belong to one goroutine and to the set that made
// them, and are filled anew for each click: [Fields.Clear], then one of
// [Fields.Text], [Fields.Int], [Fields.Float] and [Fields.Bool] for each field that
// the click has with its type.
type Fields struct {
	cells        []cell
	known, holds []uint64 // bits by test: asked before, and its answer
}

// cell is the value of one field; which part is used says the field's type.
type cell struct {
	text    []byte
	number  int64
	real    float64
	has     bool
	flag    bool
	small   bool // lower is the text in lower case
	asked   bool // addr is the text's address, the zero one when it has none
	lower   []byte
	scratch []byte
	addr    netip.Addr
}

// Clear makes all fields lacking.
func (f *Fields) Clear() {
	for i := range f.cells {
		c := &f.cells[i]
		c.has, c.small, c.asked = false, false, false
	}
}

// Text sets a string, valid UTF-8. It must not change before [Set.Match] returns.
func (f *Fields) Text(i int, v []byte) { f.cells[i].text, f.cells[i].has = v, true }

// Int sets an int.
func (f *Fields) Int(i int, v int64) { f.cells[i].number, f.cells[i].has = v, true }

// Float sets a float.
func (f *Fields) Float(i int, v float64) { f.cells[i].real, f.cells[i].has = v, true }

// Bool sets a bool.
func (f *Fields) Bool(i int, v bool) { f.cells[i].flag, f.cells[i].has = v, true }

// lowered is the text in lower case, as strings.ToLower has it.
func (c *cell) lowered() []byte {
	if !c.small {
		c.small = true
		c.lower = c.text
		if bytes.ContainsFunc(c.text, func(r rune) bool { return r >= utf8.RuneSelf || 'A' <= r && r <= 'Z' }) {
			c.scratch = appendLower(c.scratch[:0], c.text)
			c.lower = c.scratch
		}
	}
	return c.lower
}

func appendLower(to, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		to = utf8.AppendRune(to, unicode.ToLower(r))
		text = text[n:]
	}
	return to
}

// address is the text as an IP address without a zone; the zero one when it is
// none. IPv4 addresses mapped into IPv6 are IPv4.
func (c *cell) address() netip.Addr {
	if !c.asked {
		c.asked = true
		c.addr = netip.Addr{}
		if len(c.text) <= longestAddress && bytes.IndexByte(c.text, '%') < 0 {
			// The string lives no longer than the call, and an error holds a copy.
			if a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(c.text), len(c.text))); err == nil {
				c.addr = a.Unmap()
			}
		}
	}
	return c.addr
}

// longestAddress is the length of the longest text of an IP address.
const longestAddress = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")
