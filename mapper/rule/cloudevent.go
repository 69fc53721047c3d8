package rule

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/click"
)

// mode is how a record carries its click.
type mode uint8

const (
	bare       mode = iota // the record is the click
	binaryMode             // the headers are a CloudEvent, the record its data
	structured             // the record is a CloudEvent, the click its data
)

// The context attributes of CloudEvents 1.0 that are read.
const (
	ceVersion = iota
	ceType
	ceSource
	ceID
	ceTime
	ceEnd
)

var attributeNames = [ceEnd]string{"specversion", "type", "source", "id", "time"}

// Headers of a record that is a CloudEvent, as in its Kafka protocol binding.
const (
	headerPrefix  = "ce_" // before an attribute's name
	headerContent = "content-type"
	contentEvent  = "application/cloudevents"
	contentJSON   = contentEvent + "+json"
)

// attribute is what an event says of one of its attributes.
type attribute struct {
	text []byte // nil when the event does not have it
	at   int    // in the record's value, or nowhere for a header
}

// envelope is what a CloudEvent says around the click.
type envelope [ceEnd]attribute

// openHeaders reads the envelope in the headers and tells the record's mode.
func (d *decoder) openHeaders(headers click.Headers) (m mode, ok bool) {
	d.envelope, ok = envelope{}, true
	whole := headers.Each(func(key, value []byte) bool {
		if string(key) == headerContent {
			content, _, _ := strings.Cut(strings.ToLower(string(value)), ";")
			switch content = strings.TrimSpace(content); {
			case content == contentJSON:
				m = structured
			case strings.HasPrefix(content, contentEvent):
				ok = d.badEvent(headerContent, nowhere, "only "+contentJSON+" is read")
			}
			return ok
		}
		rest, prefixed := bytes.CutPrefix(key, []byte(headerPrefix))
		for i := range attributeNames {
			if !prefixed || value == nil || string(rest) != attributeNames[i] {
				continue
			}
			if d.envelope[i].text != nil {
				ok = d.badEvent(string(key), nowhere, "the header is there twice")
			}
			d.envelope[i] = attribute{text: value, at: nowhere}
			m = max(m, binaryMode)
		}
		return ok
	})
	if !whole {
		return bare, d.refuse(click.Malformed, "the headers cannot be read")
	}
	return m, ok
}

// isEnvelope tells whether the listed object is a structured event that no
// header announced: it has a specversion and one more of the required attributes.
func (d *decoder) isEnvelope() bool {
	return d.hasText(ceVersion) && (d.hasText(ceType) || d.hasText(ceSource) || d.hasText(ceID))
}

func (d *decoder) hasText(attribute int) bool {
	n := &d.attributes[attribute]
	for i := range d.fields[:d.n] {
		if f := &d.fields[i]; f.print == n.print && string(f.key) == n.text {
			return f.kind.isText()
		}
	}
	return false
}

// cloudEvent reads the click of a record that is, or seems to be, a CloudEvent.
// The identity of the click is the event's: its source and its id.
func (d *decoder) cloudEvent(m mode) (c found, ok bool) {
	if m == bare {
		d.envelope, m = envelope{}, structured
	} else if m == binaryMode && d.isEnvelope() {
		return c, d.badEvent(attributeNames[ceVersion], nowhere, "an event both in the headers and in the value")
	}
	if m == structured && !d.openBody() {
		return c, false
	}
	if !d.checkEnvelope() {
		return c, false
	}
	source, id, time := &d.envelope[ceSource], &d.envelope[ceID], &d.envelope[ceTime]
	d.composed = append(append(append(d.composed[:0], source.text...), '\n'), id.text...)
	c.event, c.id = d.composed, id.text
	if c.ad, ok = d.adID(); !ok {
		return c, false
	}
	if time.text == nil {
		c.time, ok = d.eventTime()
		return c, ok
	}
	if c.time, ok = parseRFC3339(time.text); !ok {
		return c, d.badAttribute(ceTime, "not a time as in RFC 3339, with a zone")
	}
	if c.time < earliest || c.time >= latest {
		return c, d.blameAt(click.BadTime, d.attributeName(ceTime), time.at, "not in the years 2000 to 2099")
	}
	return c, true
}

// openBody reads the envelope in the listed object and lists the data instead.
func (d *decoder) openBody() bool {
	for i := range attributeNames {
		f, ok := d.find(&d.attributes[i])
		if !ok {
			return false
		}
		if f == nil || f.kind == null {
			continue
		}
		if !f.kind.isText() {
			return d.badEvent(attributeNames[i], int(f.start), "not text")
		}
		text, ok := d.words(f)
		if !ok {
			return d.badEvent(attributeNames[i], int(f.start), "half a surrogate pair")
		}
		if header := d.envelope[i].text; header != nil && !bytes.Equal(header, text) {
			return d.badEvent(attributeNames[i], int(f.start), "the header of the same name says something else")
		}
		d.envelope[i] = attribute{text: text, at: int(f.start)}
	}
	f, ok := d.find(&d.payload)
	if !ok {
		return false
	}
	if f == nil || f.kind != object {
		return d.badEvent(d.payload.text, nowhere, "not there as a JSON object")
	}
	return d.object(int(f.start), &d.inner) != failed
}

// checkEnvelope demands what CloudEvents 1.0 demands, and what ids must be.
func (d *decoder) checkEnvelope() bool {
	for i := range d.envelope {
		a := &d.envelope[i]
		switch {
		case i == ceTime && a.text == nil:
		case len(a.text) == 0:
			return d.badAttribute(i, "absent, null or empty")
		case i == ceVersion && string(a.text) != "1.0":
			return d.badAttribute(i, "not 1.0")
		case !utf8.Valid(a.text): // a header; the record's strings were looked at
			return d.badAttribute(i, "not UTF-8")
		case !printable(a.text):
			return d.badAttribute(i, "a control character, or a space at an end")
		case i == ceID && len(a.text) > maxID:
			return d.badAttribute(i, "longer than 128 bytes")
		case len(a.text) > maxText:
			return d.badAttribute(i, "longer than 1024 bytes")
		}
	}
	return true
}

// attributeName is the attribute's name where it was found.
func (d *decoder) attributeName(i int) string {
	if a := &d.envelope[i]; a.text != nil && a.at == nowhere {
		return headerPrefix + attributeNames[i]
	}
	return attributeNames[i]
}

func (d *decoder) badAttribute(i int, text string) bool {
	at := d.envelope[i].at
	if d.envelope[i].text == nil {
		at = nowhere
	}
	return d.badEvent(d.attributeName(i), at, text)
}

func (d *decoder) badEvent(attribute string, at int, text string) bool {
	return d.blameAt(click.BadCloudEvent, attribute, at, text)
}
