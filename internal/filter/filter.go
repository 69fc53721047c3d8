package filter

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/click"
)

// Most is how many filters a set may have; their answers are the bits of a word.
const Most = 63

// Definition is a filter as its author wrote it.
type Definition struct {
	ID    string // 1 to 32 of A-Z a-z 0-9 . _ -, but not [click.FilterAll]
	Name  string // for people: at most 200 bytes without control characters
	Where string // the predicate
}

// Set is some filters, compiled so that one pass over a click's fields answers
// all of them. It never changes and may be shared.
type Set struct {
	definitions []Definition
	needs       []Field
	plan        plan
}

// NewSet compiles at most [Most] filters with different identifiers. What is
// wrong with a predicate is an *[Error] within the error, which names the filter.
func NewSet(defs []Definition, types Types) (*Set, error) {
	if len(defs) > Most {
		return nil, fmt.Errorf("%d filters are more than %d", len(defs), Most)
	}
	if err := types.Check(); err != nil {
		return nil, err
	}
	s := &Set{definitions: slices.Clone(defs)}
	slices.SortFunc(s.definitions, func(a, b Definition) int { return strings.Compare(a.ID, b.ID) })
	c := newCompiler(types)
	var roots []*node
	for i, d := range s.definitions {
		if err := d.check(); err != nil {
			return nil, err
		}
		if i > 0 && d.ID == s.definitions[i-1].ID {
			return nil, fmt.Errorf("filter %s is defined twice", d.ID)
		}
		root, err := c.compile(d.Where)
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", d.ID, err)
		}
		roots = append(roots, root)
	}
	s.needs = c.needs
	s.plan = makePlan(roots, c.tests)
	return s, nil
}

func (d *Definition) check() error {
	switch {
	case d.ID == click.FilterAll:
		return fmt.Errorf("filter %s is all clicks and cannot be defined", d.ID)
	case d.ID == "" || len(d.ID) > 32 || strings.ContainsFunc(d.ID, notOfID):
		return fmt.Errorf("filter %.40q: an identifier is 1 to 32 of A-Z a-z 0-9 . _ -", d.ID)
	case len(d.Name) > 200 || !utf8.ValidString(d.Name) || strings.ContainsFunc(d.Name, unicode.IsControl):
		return fmt.Errorf("filter %s: a name is at most 200 bytes of UTF-8 without control characters", d.ID)
	}
	return nil
}

func notOfID(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
}

// Len is the number of filters.
func (s *Set) Len() int { return len(s.definitions) }

// IDs are the identifiers, in order: filter i has bit i of a mask.
func (s *Set) IDs() []string {
	ids := make([]string, len(s.definitions))
	for i, d := range s.definitions {
		ids[i] = d.ID
	}
	return ids
}

// Definitions are the filters, in the order of their identifiers.
func (s *Set) Definitions() []Definition { return slices.Clone(s.definitions) }

// Needs are the fields that some filter reads. The place of a field is the index
// under which [Fields] take its value.
func (s *Set) Needs() []Field { return s.needs }

// NewFields makes room for the values of one click.
func (s *Set) NewFields() *Fields {
	words := (len(s.plan.tests) + 63) / 64
	return &Fields{cells: make([]cell, len(s.needs)), known: make([]uint64, words), holds: make([]uint64, words)}
}

// Match returns the mask of the filters that are true of a click, whose fields
// must have been made by this set.
func (s *Set) Match(f *Fields) uint64 {
	p := &s.plan
	mask := p.all
	for i := range p.tables {
		if mask &= p.tables[i].mask(f); mask == 0 {
			return 0
		}
	}
	left := mask & p.more
	if left == 0 {
		return mask
	}
	clear(f.known)
	for ; left != 0; left &= left - 1 {
		if i := bits.TrailingZeros64(left); !p.holds(p.rest[i], f) {
			mask &^= 1 << i
		}
	}
	return mask
}
