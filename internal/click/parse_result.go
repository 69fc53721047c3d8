package click

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

// ParseResult decodes a results record. What [Result.AppendJSON] wrote is read
// without allocating, and Ad is then a view into b, unless the ad has quotes,
// backslashes or control characters or the filter is another than [FilterAll].
// Other writers' spacing, order of fields and escapes are understood as well;
// the fields are not negotiable: each must be there once, of its own type, and
// no other; only the digest may be missing. Errors wrap [ErrWire].
//
// A result whose ad is not valid UTF-8 is refused. None is ever written: the
// mapper refuses such clicks.
func ParseResult(b []byte) (Result, error) {
	r, err := parseResult(b)
	if err != nil {
		return Result{}, fmt.Errorf("result: %w: %w", ErrWire, err)
	}
	return r, nil
}

func parseResult(b []byte) (Result, error) {
	if !utf8.Valid(b) {
		return Result{}, errors.New("not valid UTF-8")
	}
	r, ok := ownResult(b)
	if !ok {
		var err error
		if r, err = foreignResult(b); err != nil {
			return Result{}, err
		}
	}
	if r.Size <= 0 || r.Count < 0 || r.Revision < 0 || r.Version < 0 {
		return Result{}, errors.New("window_ms must be positive, count, revision and version not negative")
	}
	return r, nil
}

// ownResult reads exactly what AppendJSON writes, as long as no text in it needs
// unescaping, and reports whether b was that.
func ownResult(b []byte) (r Result, ok bool) {
	s := scanner{b: b}
	s.skip(`{"ad_id":"`)
	r.Ad = s.until('"')
	s.skip(`,"window_start":"`)
	r.Start = s.start()
	s.skip(`,"window_ms":`)
	r.Size = s.integer()
	s.skip(`,"filter":"`)
	r.Filter = s.filter()
	s.skip(`,"count":`)
	r.Count = s.integer()
	r.Digest = s.digest()
	s.skip(`,"revision":`)
	r.Revision = s.integer()
	s.skip(`,"state":"`)
	r.State = s.state()
	s.skip(`,"version":`)
	r.Version = s.integer()
	s.skip(`}`)
	return r, !s.bad && len(s.b) == 0
}

// scanner reads JSON in the one shape that is expected and remembers whether it
// met another.
type scanner struct {
	b   []byte
	bad bool
}

func (s *scanner) fail() { s.bad, s.b = true, nil }

func (s *scanner) skip(text string) {
	if len(s.b) < len(text) || string(s.b[:len(text)]) != text {
		s.fail()
		return
	}
	s.b = s.b[len(text):]
}

// until reads text without escapes up to the quote, and the quote.
func (s *scanner) until(quote byte) []byte {
	for i, c := range s.b {
		if c == quote {
			text := s.b[:i:i]
			s.b = s.b[i+1:]
			return text
		}
		if c == '\\' || c < 0x20 {
			break
		}
	}
	s.fail()
	return nil
}

func (s *scanner) start() int64 {
	ms, err := parseStart(s.until('"'))
	if err != nil {
		s.fail()
	}
	return ms
}

func (s *scanner) filter() string {
	f := s.until('"')
	if string(f) == FilterAll {
		return FilterAll
	}
	return string(f)
}

func (s *scanner) state() State {
	name := s.until('"')
	for st := Provisional; st <= Corrected; st++ {
		if string(name) == stateNames[st] {
			return st
		}
	}
	s.fail()
	return 0
}

// integer reads up to 18 digits; longer numbers take the other path.
func (s *scanner) integer() int64 {
	var n int64
	i := 0
	for ; i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9'; i++ {
		n = n*10 + int64(s.b[i]-'0')
		if i == 18 {
			s.fail()
			return 0
		}
	}
	if i == 0 || s.b[0] == '0' && i > 1 {
		s.fail()
		return 0
	}
	s.b = s.b[i:]
	return n
}

// digest reads a digest, 0 when there is none.
func (s *scanner) digest() uint64 {
	const field = `,"digest":"`
	if len(s.b) < len(field) || string(s.b[:len(field)]) != field {
		return 0
	}
	s.b = s.b[len(field):]
	v, ok := parseDigest(s.until('"'))
	if !ok {
		s.fail()
	}
	return v
}

// parseDigest reads what appendDigest wrote. None is written that is 0.
func parseDigest[T []byte | string](text T) (v uint64, ok bool) {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, len(text) == 16 && v != 0
}

// parseStart reads a window's start, which falls on a millisecond of a year that
// can be written in four digits.
func parseStart(text []byte) (int64, error) {
	var at time.Time
	if err := at.UnmarshalText(text); err != nil {
		return 0, err
	}
	if at.Nanosecond()%int(time.Millisecond) != 0 {
		return 0, errors.New("window_start is finer than a millisecond")
	}
	if y := at.UTC().Year(); y < 0 || y > 9999 {
		return 0, errors.New("window_start lies outside the years 0 to 9999")
	}
	return at.UnixMilli(), nil
}

// resultFields are the fields of a result and how each is read from a token of
// encoding/json.
var resultFields = map[string]func(*Result, json.Token) error{
	"ad_id": func(r *Result, t json.Token) error {
		s, err := text(t)
		r.Ad = []byte(s)
		return err
	},
	"window_start": func(r *Result, t json.Token) error {
		s, err := text(t)
		if err == nil {
			r.Start, err = parseStart([]byte(s))
		}
		return err
	},
	"filter":    func(r *Result, t json.Token) (err error) { r.Filter, err = text(t); return err },
	"window_ms": func(r *Result, t json.Token) (err error) { r.Size, err = integer(t); return err },
	"digest": func(r *Result, t json.Token) error {
		s, err := text(t)
		var ok bool
		if r.Digest, ok = parseDigest(s); err == nil && !ok {
			err = errors.New("not 16 hexadecimal digits")
		}
		return err
	},
	"count":    func(r *Result, t json.Token) (err error) { r.Count, err = integer(t); return err },
	"revision": func(r *Result, t json.Token) (err error) { r.Revision, err = integer(t); return err },
	"version":  func(r *Result, t json.Token) (err error) { r.Version, err = integer(t); return err },
	"state": func(r *Result, t json.Token) error {
		s, err := text(t)
		if err == nil {
			r.State, err = ParseState(s)
		}
		return err
	},
}

func text(t json.Token) (string, error) {
	if s, ok := t.(string); ok {
		return s, nil
	}
	return "", errors.New("not a text")
}

func integer(t json.Token) (int64, error) {
	if n, ok := t.(json.Number); ok {
		return strconv.ParseInt(n.String(), 10, 64)
	}
	return 0, errors.New("not a number")
}

// foreignResult reads a result token by token: decoding into a struct would
// take a repeated field, a field in other letters and null for what they are not.
func foreignResult(b []byte) (r Result, err error) {
	if LoneSurrogate(b) {
		return r, errors.New("half a surrogate pair, which is no character")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil {
		return r, fmt.Errorf("not one JSON object: %w", err)
	} else if t != json.Delim('{') {
		return r, errors.New("not one JSON object")
	}
	seen := make(map[string]bool, len(resultFields))
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return r, err
		}
		name, _ := key.(string)
		set, known := resultFields[name]
		if !known || seen[name] {
			return r, fmt.Errorf("field %q is unknown or repeated", name)
		}
		seen[name] = true
		value, err := d.Token()
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		if err := set(&r, value); err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return r, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("something follows the object")
	}
	seen["digest"] = true // it may be missing
	if len(seen) != len(resultFields) {
		return r, fmt.Errorf("%d of %d fields", len(seen), len(resultFields))
	}
	return r, nil
}

// LoneSurrogate looks in JSON for an escaped half of a surrogate pair. encoding/json
// would put U+FFFD in its place and make one ad of two; other programs do not read it.
func LoneSurrogate(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		u := escapedUnit(b[i:])
		switch {
		case u < 0:
			i++ // an escape of one character, which may be a backslash
		case u < 0xd800 || u > 0xdfff:
			i += 5
		case u < 0xdc00 && escapedUnit(b[i+6:])&^0x3ff == 0xdc00:
			i += 11
		default:
			return true
		}
	}
	return false
}

// escapedUnit is the UTF-16 unit that b begins with as \uXXXX, or -1.
func escapedUnit(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	u, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(u)
}
