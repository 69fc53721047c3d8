package filter

import "maps"

// plan is how a set is asked. Each filter is a chain of conditions that must all
// hold. Those that compare one text with constants, and nothing else, are
// worked out beforehand for each constant: one look-up of the text answers them
// for all filters. What is left is asked of those filters only that are true so far.
type plan struct {
	tests  []test
	all    uint64 // a bit for each filter
	tables []table
	more   uint64    // the filters that have a rest
	rest   [64]*node // by filter
}

// table answers for all filters what they ask of one text.
type table struct {
	text   text
	masks  map[string]uint64 // by value: the filters it does not rule out
	others uint64            // the same for other values, and when there is none
}

func (t *table) mask(f *Fields) uint64 {
	if v, ok := t.text.get(f); ok {
		if m, ok := t.masks[string(v)]; ok {
			return m
		}
	}
	return t.others
}

// makePlan plans the filters with these predicates.
func makePlan(roots []*node, tests []test) plan {
	p := plan{tests: tests, all: 1<<len(roots) - 1}
	looked := map[string]*draft{}
	var order []string
	for i, root := range roots {
		for _, condition := range conjuncts(nil, root) {
			t := p.onlyText(condition)
			if t == nil {
				if p.more |= 1 << i; p.rest[i] == nil {
					p.rest[i] = condition
				} else {
					p.rest[i] = &node{verb: and, a: p.rest[i], b: condition}
				}
				continue
			}
			key := t.String()
			if looked[key] == nil {
				looked[key] = &draft{text: *t}
				order = append(order, key)
			}
			v := p.verdict(condition)
			if before := looked[key].makes[i]; before != nil {
				v = before.not().or(v.not()).not()
			}
			looked[key].makes[i] = v
		}
	}
	for _, key := range order {
		p.tables = append(p.tables, p.table(looked[key]))
	}
	return p
}

// draft is what a table is made from.
type draft struct {
	text  text
	makes [64]*verdict // by filter: what it demands of the text; nil when nothing
}

// conjuncts takes a predicate apart into conditions that must all hold.
func conjuncts(to []*node, n *node) []*node {
	switch {
	case n.verb == and:
		return conjuncts(conjuncts(to, n.a), n.b)
	case n.verb == not && n.a.verb == or: // neither one nor the other
		return conjuncts(conjuncts(to, &node{verb: not, a: n.a.a}), &node{verb: not, a: n.a.b})
	case n.verb == not && n.a.verb == not:
		return conjuncts(to, n.a.a)
	}
	return append(to, n)
}

// onlyText returns the text that a condition compares with constants when that is
// all it does, and else nil.
func (p *plan) onlyText(n *node) *text {
	switch n.verb {
	case ask:
		if t, ok := p.tests[n.test].(*amongTexts); ok && t.a.slot != constant {
			return &t.a
		}
	case not:
		return p.onlyText(n.a)
	case and, or:
		a, b := p.onlyText(n.a), p.onlyText(n.b)
		if a != nil && b != nil && a.String() == b.String() {
			return a
		}
	case always, never:
	}
	return nil
}

// table works a draft out.
func (p *plan) table(d *draft) table {
	t := table{text: d.text, masks: map[string]uint64{}, others: p.all}
	for i, v := range d.makes {
		if v != nil && !v.others {
			t.others &^= 1 << i
		}
	}
	for i, v := range d.makes {
		if v == nil {
			continue
		}
		for value := range v.but {
			if _, ok := t.masks[value]; !ok {
				t.masks[value] = t.others
			}
			t.masks[value] ^= 1 << i
		}
	}
	return t
}

// verdict is of which values of a text a condition is true: of all others, or of none, but of some it is
// the opposite.
type verdict struct {
	others bool
	but    map[string]struct{}
}

// verdict works out a condition that [plan.onlyText] took.
func (p *plan) verdict(n *node) *verdict {
	switch n.verb {
	case and:
		return p.verdict(n.a).not().or(p.verdict(n.b).not()).not()
	case or:
		return p.verdict(n.a).or(p.verdict(n.b))
	case not:
		return p.verdict(n.a).not()
	}
	return &verdict{but: maps.Clone(p.tests[n.test].(*amongTexts).list)}
}

func (v *verdict) not() *verdict {
	v.others = !v.others
	return v
}

// or is true where either is. It makes use of both, and takes as long as the lesser is long, so
// that a condition of many takes no longer than it is long itself.
func (v *verdict) or(o *verdict) *verdict {
	if len(v.but) < len(o.but) {
		v, o = o, v
	}
	switch {
	case !v.others && !o.others:
		maps.Copy(v.but, o.but)
	case v.others && o.others: // false where both are
		maps.DeleteFunc(o.but, func(value string, _ struct{}) bool { _, both := v.but[value]; return !both })
		return o
	case v.others:
		for value := range o.but {
			delete(v.but, value)
		}
	default:
		maps.DeleteFunc(o.but, func(value string, _ struct{}) bool { _, is := v.but[value]; return is })
		return o
	}
	return v
}

// holds tells whether a predicate is true of a click. It asks no test twice
// between two clearings of what is known.
func (p *plan) holds(n *node, f *Fields) bool {
	switch n.verb {
	case always:
		return true
	case never:
		return false
	case and:
		return p.holds(n.a, f) && p.holds(n.b, f)
	case or:
		return p.holds(n.a, f) || p.holds(n.b, f)
	case not:
		return !p.holds(n.a, f)
	}
	word, bit := n.test/64, uint64(1)<<(n.test%64)
	if f.known[word]&bit == 0 {
		f.known[word] |= bit
		if p.tests[n.test].holds(f) {
			f.holds[word] |= bit
		} else {
			f.holds[word] &^= bit
		}
	}
	return f.holds[word]&bit != 0
}
