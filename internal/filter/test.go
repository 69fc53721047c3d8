package filter

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
)

// test is the smallest thing that is true or false of a click. It is false when
// the click lacks a field that it reads.
type test interface {
	// holds tells whether the test is true of a click.
	holds(f *Fields) bool
	// String is the same for tests that say the same of every click.
	String() string
}

// order is a comparison: which results of a three-way comparison make it true.
type order struct{ less, equal, greater bool }

var orders = map[string]order{
	"==": {equal: true}, "<": {less: true}, "<=": {less: true, equal: true},
	">": {greater: true}, ">=": {equal: true, greater: true},
}

// takes tells whether a three-way comparison that came to n makes it true.
func (o order) takes(n int) bool {
	return n < 0 && o.less || n == 0 && o.equal || n > 0 && o.greater
}

// compareTexts compares bytes, which is the order of Unicode as well.
type compareTexts struct {
	order order
	a, b  text
}

func (t *compareTexts) holds(f *Fields) bool {
	a, ok := t.a.get(f)
	if !ok {
		return false
	}
	b, ok := t.b.get(f)
	return ok && t.order.takes(bytes.Compare(a, b))
}

func (t *compareTexts) String() string { return fmt.Sprint(&t.a, t.order, &t.b) }

// amongTexts tells whether a text is one of some constants; with one it is ==.
type amongTexts struct {
	a    text
	list map[string]struct{}
}

func (t *amongTexts) holds(f *Fields) bool {
	a, ok := t.a.get(f)
	if ok {
		_, ok = t.list[string(a)]
	}
	return ok
}

func (t *amongTexts) String() string {
	return fmt.Sprintf("%v in %q", &t.a, slices.Sorted(maps.Keys(t.list)))
}

// part tells whether one text is in another, at its beginning or at its end.
type part struct {
	how  string
	in   func(s, part []byte) bool
	a, b text
}

var parts = map[string]func(s, part []byte) bool{
	"contains": bytes.Contains, "startsWith": bytes.HasPrefix, "endsWith": bytes.HasSuffix,
}

func (t *part) holds(f *Fields) bool {
	a, ok := t.a.get(f)
	if !ok {
		return false
	}
	b, ok := t.b.get(f)
	return ok && t.in(a, b)
}

func (t *part) String() string { return fmt.Sprint(&t.a, t.how, &t.b) }

// pattern tells whether a regular expression matches anywhere in a text.
type pattern struct {
	a  text
	re *regexp.Regexp
}

func (t *pattern) holds(f *Fields) bool {
	a, ok := t.a.get(f)
	return ok && t.re.Match(a)
}

func (t *pattern) String() string { return fmt.Sprintf("%v matches %q", &t.a, t.re) }

// inNets tells whether a field is an address in one of some networks.
type inNets struct {
	slot int
	nets []netip.Prefix // masked, in order, none within another
}

// prune brings networks into order and drops those that lie within others.
func prune(nets []netip.Prefix) []netip.Prefix {
	slices.SortFunc(nets, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var kept []netip.Prefix
	for _, n := range nets {
		if len(kept) == 0 || !kept[len(kept)-1].Overlaps(n) {
			kept = append(kept, n)
		}
	}
	return kept
}

func (t *inNets) holds(f *Fields) bool {
	c := &f.cells[t.slot]
	if !c.has {
		return false
	}
	a := c.address()
	if !a.IsValid() {
		return false
	}
	i, exact := slices.BinarySearchFunc(t.nets, a, func(n netip.Prefix, a netip.Addr) int { return n.Addr().Compare(a) })
	return exact || i > 0 && t.nets[i-1].Contains(a)
}

func (t *inNets) String() string { return fmt.Sprintf("$%d in %v", t.slot, t.nets) }

// compareNumbers compares ints as such, and otherwise as floats, where NaN is
// neither less nor equal nor greater.
type compareNumbers struct {
	order order
	a, b  *number
}

func (t *compareNumbers) holds(f *Fields) bool {
	if t.a.kind == Int && t.b.kind == Int {
		a, ok := t.a.int(f)
		if !ok {
			return false
		}
		b, ok := t.b.int(f)
		return ok && (a < b && t.order.less || a == b && t.order.equal || a > b && t.order.greater)
	}
	a, ok := t.a.float(f)
	if !ok {
		return false
	}
	b, ok := t.b.float(f)
	return ok && (a < b && t.order.less || a == b && t.order.equal || a > b && t.order.greater)
}

func (t *compareNumbers) String() string { return fmt.Sprint(t.a, t.order, t.b) }

// amongNumbers tells whether a number is one of some constants. An int is looked
// for among ints as such, and everything else as floats.
type amongNumbers struct {
	a      *number
	ints   map[int64]struct{}
	floats map[float64]struct{}
}

func (t *amongNumbers) holds(f *Fields) bool {
	if t.a.kind == Int {
		a, ok := t.a.int(f)
		if !ok {
			return false
		}
		if _, ok = t.ints[a]; ok {
			return true
		}
	}
	a, ok := t.a.float(f)
	if ok {
		_, ok = t.floats[a]
	}
	return ok
}

func (t *amongNumbers) String() string { return fmt.Sprint(t.a, " in ", t.ints, t.floats) }

// flag tells whether a field is true, or false.
type flag struct {
	slot int
	want bool
}

func (t *flag) holds(f *Fields) bool {
	c := &f.cells[t.slot]
	return c.has && c.flag == t.want
}

func (t *flag) String() string { return fmt.Sprintf("$%d is %t", t.slot, t.want) }

// sameFlags tells whether two fields are both true, or both false.
type sameFlags struct{ a, b int }

func (t *sameFlags) holds(f *Fields) bool {
	a, b := &f.cells[t.a], &f.cells[t.b]
	return a.has && b.has && a.flag == b.flag
}

func (t *sameFlags) String() string { return fmt.Sprintf("$%d same $%d", t.a, t.b) }

// present tells whether the click has a field.
type present struct{ slot int }

func (t *present) holds(f *Fields) bool { return f.cells[t.slot].has }

func (t *present) String() string { return fmt.Sprintf("$%d present", t.slot) }
