package click

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// someFilters is a set of up to 64 identifiers.
func someFilters(rng *rand.Rand) (ids []string) {
	n := 1 + rng.IntN(3)
	if rng.IntN(8) == 0 {
		n = FiltersMost
	}
	for i := range n {
		ids = append(ids, fmt.Sprintf("f%02d%s", i, []string{"", "-mobile"}[rng.IntN(2)]))
	}
	return ids
}

// masked is a section with clicks of these masks, all of one set.
func masked(filters []string, masks ...uint64) Section {
	s := Section{Source: goldenSource, Start: 100, End: 100 + int64(len(masks))}
	s.Clicks.Reset(s.Start)
	for i, m := range masks {
		s.Clicks.Add(&Routed{Offset: 100 + int64(i), Time: goldenMinute, Ad: []byte("a"), Filters: filters, Mask: m})
	}
	return s
}

// Filters cost a section nothing in which no click passed one, and little otherwise.
func TestMasksAreSmall(t *testing.T) {
	t.Parallel()
	filters := someFilters(rand.New(rand.NewPCG(1, 1)))
	size := func(s Section) int { return len(s.Append(nil)) }
	none := masked(filters, make([]uint64, 1000)...)
	b := none.Append(nil)
	if b[0] != sectionVersion {
		t.Errorf("version %d without masks", b[0])
	}
	one := make([]uint64, 1000)
	one[0] = 1
	if more := size(masked(filters, one...)) - len(b); more > 30 {
		t.Errorf("one mask takes %d bytes", more)
	}
	all := make([]uint64, 1000)
	wide := make([]string, FiltersMost)
	for i := range wide {
		wide[i] = fmt.Sprintf("%02d", i)
	}
	for i := range all {
		all[i] = 1<<63 | 1<<(i%60)
	}
	if more := size(masked(wide, all...)) - len(b); more > 1000+60*maskBytes+FiltersMost*3+10 {
		t.Errorf("1,000 masks of 60 kinds take %d bytes", more)
	}
}

// What no mapper writes, or writes otherwise, is refused: when it is parsed, or when the clicks are walked.
func TestMasksRefuse(t *testing.T) {
	t.Parallel()
	two := []string{"a", "b"}
	for name, change := range map[string]func(m *masks){
		"no filter":                  func(m *masks) { m.sets[0] = nil },
		"too many filters":           func(m *masks) { m.sets[0] = make([]string, FiltersMost+1) },
		"not ascending":              func(m *masks) { m.sets[0] = []string{"b", "a"} },
		"twice the same":             func(m *masks) { m.sets[0] = []string{"a", "a"} },
		"the filter of all":          func(m *masks) { m.sets[0] = []string{FilterAll, "a"} },
		"no identifier":              func(m *masks) { m.sets[0] = []string{"", "a"} },
		"a set twice":                func(m *masks) { m.sets = append(m.sets, two); m.list[1].set = 1 },
		"a set that is not used":     func(m *masks) { m.sets = append(m.sets, []string{"c"}) },
		"sets not in order of use":   func(m *masks) { m.sets = append(m.sets, []string{"c"}); m.list[0].set = 1 },
		"a set that is not there":    func(m *masks) { m.list[0].set = 1 },
		"a mask of no bit":           func(m *masks) { m.list[0].bits = 0 },
		"a bit of no filter":         func(m *masks) { m.list[0].bits = 4 },
		"a mask twice":               func(m *masks) { m.list[1] = m.list[0] },
		"a mask that is not used":    func(m *masks) { m.list = append(m.list, mask{0, 3}) },
		"masks not in order of use":  func(m *masks) { m.column = []byte{2, 1} },
		"a mask that is not there":   func(m *masks) { m.column = []byte{1, 3} },
		"more masks than clicks":     func(m *masks) { m.column = []byte{1, 2, 1, 1} },
		"zeros behind the last mask": func(m *masks) { m.column = []byte{1, 2, 0} },
		"a number in too many bytes": func(m *masks) { m.column = []byte{1, 0x82, 0} },
		"no mask at all":             func(m *masks) { m.column = nil },
	} {
		s := masked(two, 1, 2, 0)
		if parsed, err := ParseSection(s.Append(nil)); err != nil {
			t.Fatal(err)
		} else if clicks, whole := walk(parsed.Clicks); !whole || clicks[1].Mask != 2 || !slices.Equal(clicks[1].Filters, two) {
			t.Fatalf("%+v", clicks)
		}
		change(&s.Clicks.masks)
		parsed, err := ParseSection(s.Append(nil))
		if err != nil {
			continue
		}
		if clicks, whole := walk(parsed.Clicks); whole {
			t.Errorf("%s: %+v", name, clicks)
		}
	}
}

// A section that was written is parsed into, as the pools of tests and tools do: the writer's filters stay
// what they are.
func TestParseLeavesTheWritersFilters(t *testing.T) {
	t.Parallel()
	mine := []string{"a", "b"}
	s, other := masked(mine, 1), masked([]string{"x", "y"}, 2)
	if err := s.Parse(other.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if mine[0] != "a" || !bytes.Equal(s.Append(nil), other.Append(nil)) {
		t.Errorf("the writer's filters became %q", mine)
	}
}
