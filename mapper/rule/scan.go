package rule

import (
	"bytes"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/click"
)

// Limits of a record, beside its size.
const (
	maxFields = 64      // fields of the record
	maxDepth  = 16      // objects and arrays within each other, the record included
	maxText   = 1 << 10 // bytes of any key and any string, without escapes
)

// kind is the type of a JSON value, as far as a click cares.
type kind uint8

const (
	plain   kind = iota // a string of ASCII without escapes
	wide                // a string with more than ASCII, without escapes
	escaped             // a string with escapes
	integer
	number // with a fraction or an exponent
	boolean
	null
	object
	array
)

// isText tells a string from the other types.
func (k kind) isText() bool { return k <= escaped }

// field is one member of the object that was scanned.
type field struct {
	print      uint64 // fingerprint of the key
	key        []byte // unescaped; a view of the record or of the scratch
	start, end int32  // of the value in the record, quotes included
	kind       kind
}

// scanner validates a record as JSON and lists the members of one object of it.
// Its methods take the place of the next byte and return the place after what
// they read, or failed when there is a fault.
type scanner struct {
	b       []byte
	fields  [maxFields]field
	n       int    // fields in use
	wide    bool   // whether a key has escapes or more than ASCII
	scratch []byte // strings without their escapes
	fault   fault

	outer, inner layout // of the last record, and of the last object within one
}

// failed is the place after a fault.
const failed = -1

func (s *scanner) fail(reason click.Reason, at int, text string) int {
	s.fault = fault{reason: reason, at: at, text: text}
	return failed
}

func (s *scanner) malformed(at int, want string) int {
	if at >= len(s.b) {
		return s.fail(click.Malformed, at, "the record ends where "+want+" should be")
	}
	return s.fail(click.Malformed, at, want+" was expected")
}

// record reads a whole record: one object and nothing else.
func (s *scanner) record(b []byte) bool {
	s.b, s.n, s.scratch = b, 0, s.scratch[:0]
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		s.malformed(i, "a JSON object")
		return false
	}
	if i = s.object(i, &s.outer); i == failed {
		return false
	}
	if i = space(b, i); i < len(b) {
		s.malformed(i, "nothing after the object")
		return false
	}
	return true
}

// object reads the object at i and lists its members. While its keys are those
// of the layout, one by one, they need no closer look.
func (s *scanner) object(i int, l *layout) int {
	b := s.b
	s.n, s.wide = 0, false
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for known := 0; ; {
		if s.n == maxFields {
			return s.fail(click.TooLong, i, "more than 64 fields")
		}
		f := &s.fields[s.n]
		if known == s.n && l.match(f, s.n, b[i:]) {
			known++
			i += len(f.key) + len(`""`)
		} else if i = s.key(f, i); i == failed {
			return failed
		}
		if i = space(b, i); i >= len(b) || b[i] != ':' {
			return s.malformed(i, "a colon")
		}
		i = space(b, i+1)
		f.start = int32(i)
		if f.kind, i = s.value(i, 1); i == failed {
			s.fault.field = string(f.key)
			return failed
		}
		f.end = int32(i)
		s.n++
		if i = space(b, i); i < len(b) && b[i] == ',' {
			i = space(b, i+1)
			continue
		}
		if i >= len(b) || b[i] != '}' {
			return s.malformed(i, "a comma or a brace")
		}
		if known < s.n && !s.wide {
			l.learn(s.fields[:s.n], known)
		}
		return i + 1
	}
}

// key reads a key with its quotes and sees to it that it is new.
func (s *scanner) key(f *field, i int) int {
	b := s.b
	if i >= len(b) || b[i] != '"' {
		return s.malformed(i, "a key")
	}
	k, next := s.text(i)
	if next == failed {
		return failed
	}
	f.key = b[i+1 : next-1]
	if k != plain {
		s.wide = true
		if k == escaped {
			var whole bool
			if f.key, whole = s.unescape(f.key); !whole {
				return s.fail(click.BadText, i, "a key with half a surrogate pair")
			}
		}
	}
	f.print = fingerprint(f.key)
	for j := range s.fields[:s.n] {
		if g := &s.fields[j]; g.print == f.print && sameButCase(g.key, f.key) {
			s.fail(click.DuplicateKey, i, "the key was there before")
			s.fault.field = string(f.key)
			return failed
		}
	}
	return next
}

// layout is the keys of an object that was read before, in order. Records of
// one producer have the same keys in the same order, so that most keys are
// known to be sound and unique by one comparison.
type layout struct {
	keys []layoutKey
	text []byte // what was learned last; keys are views of it or of what it was before it grew
}

type layoutKey struct {
	print  uint64
	quoted []byte
}

// match tells whether b begins with the n-th key, and sets the field's.
func (l *layout) match(f *field, n int, b []byte) bool {
	if n >= len(l.keys) {
		return false
	}
	k := &l.keys[n]
	if !bytes.HasPrefix(b, k.quoted) {
		return false
	}
	f.print, f.key = k.print, k.quoted[1:len(k.quoted)-1]
	return true
}

// learn takes over the keys of an object, all plain, of which some are known.
func (l *layout) learn(fields []field, known int) {
	l.keys = l.keys[:known]
	end := 0
	for i := range l.keys {
		end += len(l.keys[i].quoted)
	}
	l.text = l.text[:end]
	for i := range fields[known:] {
		f := &fields[known+i]
		l.text = append(append(append(l.text, '"'), f.key...), '"')
		l.keys = append(l.keys, layoutKey{print: f.print, quoted: l.text[end:len(l.text):len(l.text)]})
		end = len(l.text)
	}
}

// value reads any value. Depth counts the objects and arrays around it.
func (s *scanner) value(i, depth int) (kind, int) {
	b := s.b
	if i >= len(b) {
		return 0, s.malformed(i, "a value")
	}
	switch c := b[i]; c {
	case '"':
		return s.text(i)
	case '{':
		return object, s.nested(i, depth+1, '}')
	case '[':
		return array, s.nested(i, depth+1, ']')
	case 't':
		return boolean, s.word(i, "true")
	case 'f':
		return boolean, s.word(i, "false")
	case 'n':
		return null, s.word(i, "null")
	default:
		if c == '-' || c-'0' <= 9 {
			return s.number(i)
		}
		return 0, s.malformed(i, "a value")
	}
}

// nested validates the object or array at i, which ends with the given byte.
// Its keys are not compared: what lies in there is not ours to read.
func (s *scanner) nested(i, depth int, end byte) int {
	b := s.b
	if depth > maxDepth {
		return s.fail(click.TooDeep, i, "nested deeper than 16")
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == end {
		return i + 1
	}
	for {
		if end == '}' {
			if i >= len(b) || b[i] != '"' {
				return s.malformed(i, "a key")
			}
			if _, i = s.text(i); i == failed {
				return failed
			}
			if i = space(b, i); i >= len(b) || b[i] != ':' {
				return s.malformed(i, "a colon")
			}
			i = space(b, i+1)
		}
		if _, i = s.value(i, depth); i == failed {
			return failed
		}
		if i = space(b, i); i < len(b) && b[i] == end {
			return i + 1
		}
		if i >= len(b) || b[i] != ',' {
			return s.malformed(i, "a comma or an end")
		}
		i = space(b, i+1)
	}
}

func (s *scanner) word(i int, word string) int {
	end := i + len(word)
	if end > len(s.b) || string(s.b[i:end]) != word {
		return s.malformed(i, "a value")
	}
	return end
}

// number reads a number; the caller sees to it that something else follows.
func (s *scanner) number(i int) (kind, int) {
	b := s.b
	if b[i] == '-' {
		i++
	}
	k, first := integer, i
	if i = digits(b, i); i == first {
		return 0, s.malformed(i, "a digit")
	}
	if b[first] == '0' && i > first+1 {
		return 0, s.malformed(first, "a number without leading zero")
	}
	if i < len(b) && b[i] == '.' {
		k, first = number, i+1
		if i = digits(b, first); i == first {
			return 0, s.malformed(i, "a digit")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		k, first = number, i
		if i = digits(b, first); i == first {
			return 0, s.malformed(i, "a digit")
		}
	}
	return k, i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// space skips white space. Most records have none between their tokens.
func space(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// text reads the string whose quote is at i.
func (s *scanner) text(i int) (kind, int) {
	b, k := s.b, plain
	start := i + 1
	var seen uint64 // all bytes or-ed; may see a few beyond the end of the string
	for i = start; ; {
		for len(b)-i >= 8 {
			w := load8(b[i:])
			seen |= w
			if at, found := special(w); found {
				i += at
				break
			}
			i += 8
		}
		if i >= len(b) {
			return 0, s.malformed(i, "the end of a string")
		}
		switch c := b[i]; {
		case c == '"':
			if seen&highBits != 0 && !utf8.Valid(b[start:i]) {
				return 0, s.fail(click.BadText, start-1, "the string is not UTF-8")
			}
			if i-start > maxText && !(k == escaped && s.fits(b[start:i])) {
				return 0, s.fail(click.TooLong, start-1, "a string longer than 1024 bytes")
			}
			if k == plain && seen&highBits != 0 && !isASCII(b[start:i]) {
				k = wide
			}
			return k, i + 1
		case c == '\\':
			k = escaped
			if i = s.escape(i); i == failed {
				return 0, failed
			}
		case c < ' ':
			return 0, s.malformed(i, "an escape instead of a control character")
		default: // within the last eight bytes of the record
			seen |= uint64(c)
			i++
		}
	}
}

// escape validates the escape at i.
func (s *scanner) escape(i int) int {
	b := s.b
	if i+1 >= len(b) {
		return s.malformed(i+1, "an escape")
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if i+6 <= len(b) {
			if _, ok := hex4(b[i+2:]); ok {
				return i + 6
			}
		}
	}
	return s.malformed(i+1, "an escape of JSON")
}

// fits tells whether a long string with escapes is short enough without them.
func (s *scanner) fits(raw []byte) bool {
	had := len(s.scratch)
	text, _ := s.unescape(raw)
	s.scratch = s.scratch[:had]
	return len(text) <= maxText
}
