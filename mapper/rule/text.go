package rule

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Eight bytes are looked at as one word; these repeat a byte in each of them.
const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
	caseBits  = 0x20 * everyByte
)

const del = 0x7f // the one control character that JSON lets stand in a string

func load8(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// special finds the first byte of a word that is a quote, a backslash or a
// control character. Borrows can only flag bytes after a true one.
func special(w uint64) (at int, found bool) {
	quote, slash := w^'"'*everyByte, w^'\\'*everyByte
	m := ((quote-everyByte)&^quote | (slash-everyByte)&^slash | (w-' '*everyByte)&^w) & highBits
	return bits.TrailingZeros64(m) / 8, m != 0
}

// fingerprint is equal for keys that are equal but for the case of ASCII letters.
func fingerprint(key []byte) uint64 {
	var head, tail uint64
	switch n := len(key); {
	case n >= 8:
		head, tail = load8(key), load8(key[n-8:])
	case n >= 4:
		head, tail = uint64(binary.LittleEndian.Uint32(key)), uint64(binary.LittleEndian.Uint32(key[n-4:]))
	case n > 0:
		head, tail = uint64(key[0])|uint64(key[n/2])<<8, uint64(key[n-1])
	}
	h := (head|caseBits)*0x9e3779b97f4a7c15 ^ bits.RotateLeft64(tail|caseBits, 29)
	return h + uint64(len(key))*everyByte
}

// sameButCase tells whether two keys are equal but for the case of ASCII letters.
func sameButCase(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if d := b[i]; c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// unescape rewrites the inside of a string with valid escapes into the scratch.
// Whole is false when it holds half a surrogate pair, which is no character.
func (s *scanner) unescape(raw []byte) (text []byte, whole bool) {
	out, from := s.scratch, len(s.scratch)
	whole = true
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			out = append(out, raw...)
			break
		}
		out = append(out, raw[:i]...)
		c := raw[i+1]
		raw = raw[i+2:]
		if c != 'u' {
			out = append(out, unescaped(c))
			continue
		}
		r, _ := hex4(raw)
		raw = raw[4:]
		if utf16.IsSurrogate(r) {
			r = pair(r, raw)
			if r == utf8.RuneError {
				whole = false
			} else {
				raw = raw[6:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	s.scratch = out
	return out[from:len(out):len(out)], whole
}

// unescaped is the character of an escape that has one letter.
func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// pair joins a surrogate with the one escaped in what follows it, or returns
// utf8.RuneError.
func pair(r rune, rest []byte) rune {
	if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return utf8.RuneError
	}
	low, _ := hex4(rest[2:])
	return utf16.DecodeRune(r, low)
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (rune, bool) {
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// printable tells whether a text can be an id: it has no control characters and
// neither begins nor ends with a space.
func printable(text []byte) bool {
	if len(text) == 0 || text[0] == ' ' || text[len(text)-1] == ' ' {
		return false
	}
	for i, c := range text {
		if c >= utf8.RuneSelf {
			return printableRunes(text, i)
		}
		if c < ' ' || c == del {
			return false
		}
	}
	return true
}

// printableRunes goes on at i, where the text stops to be ASCII.
func printableRunes(text []byte, i int) bool {
	first, _ := utf8.DecodeRune(text)
	last, _ := utf8.DecodeLastRune(text)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return false
	}
	for i < len(text) {
		r, n := utf8.DecodeRune(text[i:])
		if unicode.IsControl(r) {
			return false
		}
		i += n
	}
	return true
}
