package rule

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
)

// maxID is the longest event id and ad id, in bytes and without escapes.
const maxID = 128

// found is what the record of a click says. Event and ad are views of the
// record or of the decoder's buffers, valid until the next record.
type found struct {
	event, ad []byte
	time      int64
	id        []byte // the event id as its author wrote it; nil when it was made of other fields
}

// name is the name of a field that is looked for.
type name struct {
	text  string
	print uint64
	last  int // where it was found last
}

func makeName(text string) name { return name{text: text, print: fingerprint([]byte(text))} }

// decoder reads clicks out of records. Its methods return false when there is a
// fault, which the scanner holds.
type decoder struct {
	scanner
	event, ad, time name
	key             []name // makes the event id where there is none
	unit            TimeUnit
	limit           int    // bytes of a value
	composed        []byte // an event id made of several fields

	attributes [ceEnd]name // of a CloudEvent
	payload    name        // its member that holds the click
	envelope   envelope
}

func newDecoder(cfg *Config) *decoder {
	d := &decoder{
		event: makeName(cfg.EventIDField), ad: makeName(cfg.AdIDField), time: makeName(cfg.TimeField),
		unit: cfg.TimeUnit, limit: cfg.MaxRecordBytes,
	}
	for i, attribute := range attributeNames {
		d.attributes[i] = makeName(attribute)
	}
	d.payload = makeName("data")
	for _, field := range cfg.DedupeKey {
		d.key = append(d.key, makeName(field))
	}
	return d
}

// decode reads the click of a record that has a value.
func (d *decoder) decode(value []byte, headers click.Headers) (c found, ok bool) {
	if len(value) == 0 {
		return c, d.refuse(click.Empty, "the value is empty")
	}
	if len(value) > d.limit {
		return c, d.refuse(click.TooLarge, "the value is over the limit of a record")
	}
	mode := bare
	if headers.Count > 0 {
		if mode, ok = d.openHeaders(headers); !ok {
			return c, false
		}
	}
	if !d.record(value) {
		return c, false
	}
	if mode != bare || d.isEnvelope() {
		return d.cloudEvent(mode)
	}
	if c.event, c.id, ok = d.eventID(); !ok {
		return c, false
	}
	if c.ad, ok = d.adID(); !ok {
		return c, false
	}
	c.time, ok = d.eventTime()
	return c, ok
}

// eventID reads the event id, which is own then, or makes it of the configured fields.
func (d *decoder) eventID() (id, own []byte, ok bool) {
	id, ok = d.id(&d.event)
	if !ok || id != nil {
		return id, id, ok
	}
	if len(d.key) == 0 {
		return nil, nil, d.missing(&d.event)
	}
	// No id in a record begins with NUL, so that none equals a composed one.
	// Lengths keep its parts apart.
	d.composed = append(d.composed[:0], 0)
	for i := range d.key {
		f, ok := d.find(&d.key[i])
		if !ok {
			return nil, nil, false
		}
		part, ok := d.words(f)
		if !ok {
			return nil, nil, false
		}
		if len(part) == 0 {
			return nil, nil, d.missing(&d.key[i])
		}
		d.composed = binary.AppendUvarint(d.composed, uint64(len(part)))
		d.composed = append(d.composed, part...)
	}
	return d.composed, nil, true
}

func (d *decoder) adID() (id []byte, ok bool) {
	if id, ok = d.id(&d.ad); ok && id == nil {
		ok = d.missing(&d.ad)
	}
	return id, ok
}

// id reads an event id or ad id; nil when it is absent, null or empty.
func (d *decoder) id(n *name) ([]byte, bool) {
	f, ok := d.find(n)
	if !ok {
		return nil, false
	}
	id, ok := d.words(f)
	switch {
	case !ok:
		return nil, false
	case len(id) == 0:
		return nil, true
	case len(id) > maxID:
		return nil, d.blame(f, click.TooLong, "longer than 128 bytes")
	case f.kind == plain && id[0] != ' ' && id[len(id)-1] != ' ' && bytes.IndexByte(id, del) < 0:
		// Plain text has no other control characters.
	case !printable(id):
		return nil, d.blame(f, click.BadText, "a control character, or a space at an end")
	}
	return id, true
}

// words reads a string, or an integer as its digits; nil when it is absent or null.
func (d *decoder) words(f *field) ([]byte, bool) {
	if f == nil {
		return nil, true
	}
	switch f.kind {
	case plain, wide:
		return d.b[f.start+1 : f.end-1], true
	case escaped:
		text, whole := d.unescape(d.b[f.start+1 : f.end-1])
		if !whole {
			return nil, d.blame(f, click.BadText, "half a surrogate pair")
		}
		return text, true
	case integer:
		return d.b[f.start:f.end], true
	case null:
		return nil, true
	case number, boolean, object, array:
	}
	return nil, d.blame(f, click.BadType, "neither text nor an integer")
}

// eventTime reads the event time in Unix ms.
func (d *decoder) eventTime() (int64, bool) {
	f, ok := d.find(&d.time)
	if !ok {
		return 0, false
	}
	if f == nil || f.kind == null || f.kind.isText() && f.end-f.start == 2 {
		return 0, d.missing(&d.time)
	}
	var t int64
	switch {
	case f.kind == integer:
		if t, ok = parseUnits(d.b[f.start:f.end], d.unit); !ok {
			return 0, d.blame(f, click.BadType, "an integer beyond 2^53")
		}
	case f.kind.isText():
		text, ok := d.words(f)
		if !ok {
			return 0, false
		}
		if t, ok = parseRFC3339(text); !ok {
			return 0, d.blame(f, click.BadTime, "not a time as in RFC 3339, with a zone")
		}
	default:
		return 0, d.blame(f, click.BadType, "neither an integer nor RFC 3339 text")
	}
	if t < earliest || t >= latest {
		return 0, d.blame(f, click.BadTime, "not in the years 2000 to 2099; is the time unit right?")
	}
	return t, true
}

// find looks a field up in the listed object; nil when it is absent. A key that
// is the name in other case is a fault: another program would read it as ours.
func (d *decoder) find(n *name) (*field, bool) {
	f := d.peek(n)
	for i := 0; f == nil && i < d.n; i++ {
		if g := &d.fields[i]; g.print == n.print && sameButCase(g.key, []byte(n.text)) {
			return nil, d.lookalike(g, n)
		}
	}
	if d.wide {
		for i := range d.fields[:d.n] {
			// The Kelvin sign and the long s are letters of ASCII in another case.
			if g := &d.fields[i]; g != f && strings.EqualFold(string(g.key), n.text) {
				return nil, d.lookalike(g, n)
			}
		}
	}
	return f, true
}

// peek looks a field up whose key is the name to the letter; nil when it is absent.
func (d *decoder) peek(n *name) *field {
	if n.last < d.n && string(d.fields[n.last].key) == n.text {
		return &d.fields[n.last]
	}
	for i := range d.fields[:d.n] {
		if f := &d.fields[i]; f.print == n.print && string(f.key) == n.text {
			n.last = i
			return f
		}
	}
	return nil
}

func (d *decoder) lookalike(f *field, n *name) bool {
	return d.blame(f, click.DuplicateKey, "the key differs from "+n.text+" only by case")
}

// refuse sets a fault of the record as a whole.
func (d *decoder) refuse(reason click.Reason, text string) bool {
	return d.blameAt(reason, "", nowhere, text)
}

// blame sets a fault of a field of the record.
func (d *decoder) blame(f *field, reason click.Reason, text string) bool {
	return d.blameAt(reason, string(f.key), int(f.start), text)
}

func (d *decoder) missing(n *name) bool {
	return d.blameAt(click.MissingField, n.text, nowhere, "absent, null or empty")
}

func (d *decoder) blameAt(reason click.Reason, field string, at int, text string) bool {
	d.fault = fault{reason: reason, field: field, at: at, text: text}
	return false
}
