package rule

import "github.com/clickagg/clickagg/internal/click"

// Columns reads of single records what a table of clicks shows of them, wherever they stand: it
// reads what a partition reads, and judges no time. It belongs to one goroutine.
type Columns struct {
	decoder *decoder
	texts   []name
}

// NewColumns makes a reader of clicks with some further fields. Of the configuration only what
// says how a record looks matters to it.
func NewColumns(cfg Config, texts ...string) *Columns {
	c := &Columns{decoder: newDecoder(&cfg)}
	for _, t := range texts {
		c.texts = append(c.texts, makeName(t))
	}
	return c
}

// Read returns the ad, the event id and the event time in Unix ms of a record, or false when it
// is no click. The event id is nil when it was made of other fields. The slices stay valid until the next call.
func (c *Columns) Read(r *click.Record) (ad, event []byte, ms int64, ok bool) {
	defer func() {
		if recover() != nil { // a defect in the decoder costs no more than this record, as in a partition
			ad, event, ms, ok = nil, nil, 0, false
		}
	}()
	f, ok := c.decoder.decode(r.Value, r.Headers)
	if !ok {
		return nil, nil, 0, false
	}
	return f.ad, f.id, f.time, true
}

// Text is a further field, by its place, of the click that Read returned last; nil when it is no string.
func (c *Columns) Text(i int) []byte {
	d := c.decoder
	f := d.peek(&c.texts[i])
	if f == nil || !f.kind.isText() {
		return nil
	}
	text, ok := d.words(f)
	if !ok {
		return nil
	}
	return text
}
