package rule

import (
	"strconv"
	"unsafe"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
)

// FilterSpan is a set of filters and the event times of the clicks that are counted by it.
type FilterSpan struct {
	From  int64 // Unix ms
	Until int64 // Unix ms, not in it; [click.None] while it has no end
	Set   *filter.Set
}

// sieve asks one set of filters. It reads only those fields of a click that some
// filter needs, and only after the click was found good.
type sieve struct {
	from, until int64
	set         *filter.Set
	fields      *filter.Fields
	names       []name // by field of the set
	ids         []string
}

func newSieve(s FilterSpan) sieve {
	v := sieve{from: s.From, until: s.Until, set: s.Set, fields: s.Set.NewFields(), ids: s.Set.IDs()}
	for _, f := range s.Set.Needs() {
		v.names = append(v.names, makeName(f.Name))
	}
	return v
}

// mask tells which filters are true of the click that the decoder read last.
func (v *sieve) mask(d *decoder, c *found) uint64 {
	v.fields.Clear()
	for i, need := range v.set.Needs() {
		switch need.Name {
		case filter.AdID:
			v.fields.Text(i, c.ad)
		case filter.EventID:
			if c.id != nil {
				v.fields.Text(i, c.id)
			}
		case filter.Time:
			v.fields.Int(i, c.time)
		default:
			if f := d.peek(&v.names[i]); f != nil {
				v.take(i, need.Type, d, f)
			}
		}
	}
	return v.set.Match(v.fields)
}

// take reads a field of the record. What has another type than the set wants is left
// out, as if it were not there: it is no fault of the click.
func (v *sieve) take(i int, want filter.Type, d *decoder, f *field) {
	raw := d.b[f.start:f.end]
	switch want {
	case filter.String:
		switch f.kind {
		case plain, wide:
			v.fields.Text(i, raw[1:len(raw)-1])
		case escaped:
			if text, whole := d.unescape(raw[1 : len(raw)-1]); whole {
				v.fields.Text(i, text)
			}
		case integer, number, boolean, null, object, array:
		}
	case filter.Int:
		if f.kind == integer {
			if n, err := strconv.ParseInt(view(raw), 10, 64); err == nil {
				v.fields.Int(i, n)
			}
		}
	case filter.Float:
		if f.kind == integer || f.kind == number {
			if n, err := strconv.ParseFloat(view(raw), 64); err == nil {
				v.fields.Float(i, n)
			}
		}
	case filter.Bool:
		if f.kind == boolean {
			v.fields.Bool(i, raw[0] == 't')
		}
	}
}

// view lends bytes to a function that keeps no string.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Filter says by which filters clicks are counted, in the order of time; a click of
// another time is counted by none. Like [Partition.Open] it is told facts: what was
// said of minutes that are open never changes.
func (p *Partition) Filter(spans []FilterSpan) {
	before := p.sieves
	p.sieves = nil
	for _, s := range spans {
		next := -1
		for i := range before {
			if before[i].set == s.Set {
				next = i
			}
		}
		if next < 0 {
			p.sieves = append(p.sieves, newSieve(s))
			continue
		}
		kept := before[next]
		kept.from, kept.until = s.From, s.Until
		p.sieves = append(p.sieves, kept)
	}
}

// sieve returns what asks the filters of a time, or nil. Clicks mostly are of the newest.
func (p *Partition) sieve(t int64) *sieve {
	for i := len(p.sieves) - 1; i >= 0; i-- {
		if v := &p.sieves[i]; v.from <= t && (v.until == click.None || t < v.until) {
			return v
		}
	}
	return nil
}
