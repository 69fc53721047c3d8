package click

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// FiltersMost is how many filters a click is held against at most: the bits of a mask.
const FiltersMost = 64

// masks is what a section says of filters: the sets of filters that its clicks were
// held against, the masks there are, each once, and which of them each click has. A mask
// is mostly one of few, so a click's takes a byte.
type masks struct {
	sets   [][]string
	list   []mask       // in the order of their first use, as are the sets
	column []byte       // per click: 0, or its mask's place in list + 1; nothing behind the last click that has one
	covers int          // clicks in the column; of a writer
	find   map[mask]int // places in list + 1; of a writer
	met    int          // masks met by Next
	sorted []mask       // scratch of a reader
}

// mask is a set of filters by its number, and which of them a click passed.
type mask struct {
	set  int
	bits uint64
}

func (m mask) compare(o mask) int {
	return cmp.Or(cmp.Compare(m.set, o.set), cmp.Compare(m.bits, o.bits))
}

// reset empties it for a writer, and keeps its memory.
func (m *masks) reset() {
	if len(m.list) > 0 {
		clear(m.find)
		clear(m.sets) // they are not ours
		m.sets, m.list, m.column, m.covers = m.sets[:0], m.list[:0], m.column[:0], 0
	}
}

// empty is reset for a reader.
func (m *masks) empty() {
	if m.find != nil {
		*m = masks{} // a writer's: what it holds is not to be written to
	}
	m.sets, m.list, m.column, m.met = m.sets[:0], m.list[:0], nil, 0
}

// add notes the mask of a click with so many before it.
func (m *masks) add(before int, r *Routed) {
	if m.find == nil {
		m.find = map[mask]int{}
	}
	k := mask{m.set(r.Filters), r.Mask}
	place := m.find[k]
	if place == 0 {
		m.list = append(m.list, k)
		place = len(m.list)
		m.find[k] = place
	}
	for ; m.covers < before; m.covers++ {
		m.column = append(m.column, 0)
	}
	m.column = binary.AppendUvarint(m.column, uint64(place))
	m.covers++
}

// set returns the number of a set of filters.
func (m *masks) set(filters []string) int {
	for i, known := range m.sets {
		if len(known) == len(filters) && (&known[0] == &filters[0] || slices.Equal(known, filters)) {
			return i
		}
	}
	m.sets = append(m.sets, filters)
	return len(m.sets) - 1
}

// next gives the next click its mask. It returns false when there cannot be such a mask.
func (m *masks) next(r *Routed) bool {
	place, n := binary.Uvarint(m.column)
	if !shortest(m.column, n) || place > uint64(min(m.met+1, len(m.list))) {
		return false
	}
	m.column = m.column[n:]
	if place > 0 {
		m.met = max(m.met, int(place))
		k := m.list[place-1]
		r.Filters, r.Mask = m.sets[k.set], k.bits
	}
	return true
}

// whole tells whether all that was said was needed.
func (m *masks) whole() bool { return len(m.column) == 0 && m.met == len(m.list) }

func (m *masks) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.sets)))
	for _, set := range m.sets {
		b = AppendFilters(b, set)
	}
	b = binary.AppendUvarint(b, uint64(len(m.list)))
	for _, k := range m.list {
		b = binary.AppendUvarint(b, uint64(k.set))
		b = binary.AppendUvarint(b, k.bits)
	}
	return AppendBytes(b, m.column)
}

// AppendFilters encodes the identifiers of a set of filters. Read it with [Decoder.Filters].
func AppendFilters(b []byte, filters []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(filters)))
	for _, id := range filters {
		b = AppendBytes(b, id)
	}
	return b
}

// Filters reads what [AppendFilters] wrote and reuses a slice and its strings. It
// refuses a set that has no filter or more than [FiltersMost], that is not in
// ascending order, or has [FilterAll], which needs no bit.
func (d *Decoder) Filters(into []string) []string {
	n := d.Count(2)
	if n == 0 || n > FiltersMost {
		d.Fail()
		return nil
	}
	into = into[:0]
	for i := range n {
		into = more(into)
		into[i] = d.Text(into[i])
		if into[i] == "" || into[i] == FilterAll || i > 0 && into[i-1] >= into[i] {
			d.Fail()
			return nil
		}
	}
	return into
}

// ParseFilters reads what [AppendFilters] wrote and returns what follows it.
func ParseFilters(b []byte) (filters []string, rest []byte, err error) {
	d := NewDecoder(b)
	filters = d.Filters(nil)
	if d.bad {
		return nil, nil, fmt.Errorf("filters: %w", ErrWire)
	}
	return filters, d.b, nil
}

// masks reads what append wrote and reuses what was read before.
func (d *Decoder) masks(m *masks) {
	for range d.Count(3) {
		m.sets = more(m.sets)
		last := len(m.sets) - 1
		m.sets[last] = d.Filters(m.sets[last])
		if slices.ContainsFunc(m.sets[:last], func(s []string) bool { return slices.Equal(s, m.sets[last]) }) {
			d.Fail()
		}
	}
	if d.bad {
		return
	}
	used := 0
	for range d.Count(2) {
		set, bits := d.Uint(), d.Uint()
		if set > uint64(used) || set >= uint64(len(m.sets)) || bits == 0 || bits>>(len(m.sets[set])-1)>>1 != 0 {
			d.Fail()
			return
		}
		used = max(used, int(set)+1)
		m.list = append(m.list, mask{int(set), bits})
	}
	m.sorted = append(m.sorted[:0], m.list...)
	slices.SortFunc(m.sorted, mask.compare)
	for i := 1; i < len(m.sorted); i++ {
		if m.sorted[i] == m.sorted[i-1] {
			d.Fail()
		}
	}
	m.column = d.Bytes()
	if used == 0 || used < len(m.sets) || len(m.column) == 0 || m.column[len(m.column)-1] == 0 {
		d.Fail() // is written as a version without masks, or shorter
	}
}
