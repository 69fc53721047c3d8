package cause

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// Cause is why what is stored is not what the records say. The zero Cause is none.
type Cause uint8

// The causes.
const (
	Late             Cause = iota + 1 // clicks came too late and are not counted
	Duplicate                         // repeats are counted
	Conflict                          // repeats with other content are counted
	Rejected                          // clicks that the mapper refuses are counted
	MissingRaw                        // more is counted than there are records
	MissingAggregate                  // less is counted than there are records
	Superseded                        // a replay or repair was changing it
	WrongList                         // the ranked list is not that of the counts
	WrongRollup                       // the hour or day is not the sum of its windows
	WrongCopy                         // what is answered for one ad is not what is stored of the window
	WrongState                        // the count or list is right, and its state or revision is not
	ends
)

var names = [ends]string{
	Late: "late", Duplicate: "duplicate", Conflict: "conflict", Rejected: "rejected", MissingRaw: "missing_from_raw",
	MissingAggregate: "missing_from_aggregate", Superseded: "superseded_by_replay", WrongList: "wrong_list", WrongRollup: "wrong_rollup",
	WrongCopy: "wrong_copy", WrongState: "wrong_state",
}

// All lists the causes.
func All() []Cause {
	var all []Cause
	for c := Late; c < ends; c++ {
		all = append(all, c)
	}
	return all
}

// String is the name of the cause in reports and metrics.
func (c Cause) String() string {
	if c == 0 || c >= ends {
		return "none"
	}
	return names[c]
}

// Explained tells whether nothing is wrong: the counts are as they should be until
// somebody decides otherwise, or will be in a moment.
func (c Cause) Explained() bool { return c == Late || c == Superseded }

// Row is what there is to compare under one key.
type Row struct {
	Stored click.Sum
	Raw    click.Sum // the valid clicks
	Late   click.Sum // and what those that came too late would add
}

// Whole is all clicks of the records.
func (r Row) Whole() click.Sum {
	sum := r.Raw
	sum.Add(r.Late)
	return sum
}

// Holds tells whether nothing is to be said of the row: valid clicks are counted, and late ones are
// if there are any.
func (r Row) Holds() bool { return same(r.Stored, r.Whole()) }

// WithoutLate is the row if no click had come too late.
func (r Row) WithoutLate() Row { return Row{Stored: r.Stored, Raw: r.Raw} }

// same compares by what is known.
func same(a, b click.Sum) bool {
	return a.Count == b.Count && (a.Digest == b.Digest || !a.Known() || !b.Known())
}

// Click is one click of the key that the records have.
type Click struct {
	Cause  Cause // why it is not counted; 0 if it is
	Digest uint64
	Where  string // its record: topic/partition/offset
}

// Part is one cause of a difference and its share.
type Part struct {
	Cause  Cause    `json:"cause"`
	Clicks int64    `json:"clicks"`            // of a lot of clicks that was exchanged for another: at least 1
	Where  []string `json:"records,omitempty"` // which, where that is known; the first ten
}

// MarshalText is the cause's name.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a cause's name. It fails for what is none.
func (c *Cause) UnmarshalText(text []byte) error {
	i := slices.Index(names[:], string(text))
	if *c = Cause(max(i, 0)); i < 1 {
		return fmt.Errorf("%q is no cause of a difference", text)
	}
	return nil
}

const whereMost = 10

// part makes one of clicks.
func part(c Cause, clicks []Click) Part {
	p := Part{Cause: c, Clicks: int64(len(clicks))}
	for i := range clicks[:min(len(clicks), whereMost)] {
		p.Where = append(p.Where, clicks[i].Where)
	}
	return p
}

// Explain names the causes of a difference, given the clicks that the records have under the
// key: each once for each way in which it might have been counted, and late ones in the order in which they came. Where
// some are left out, less is explained.
func Explain(r Row, clicks []Click) []Part {
	var counted, others []Click
	for _, c := range clicks {
		if c.Cause == 0 {
			counted = append(counted, c)
		} else {
			others = append(others, c)
		}
	}
	if more, ok := surplus(r, others); ok {
		return named(r, more)
	}
	// Nothing makes it up. Whether late clicks were added shows in a click that is known to lack, or
	// in the count at best.
	base, late := r.Raw, r.Late.Count
	if whole := r.Whole(); lost(r.Stored, whole, counted).Where != nil || distance(r.Stored, whole) < distance(r.Stored, base) {
		base, late = whole, 0
	}
	var parts []Part
	switch diff := r.Stored.Count - base.Count; {
	case diff > 0:
		parts = append(parts, Part{Cause: MissingRaw, Clicks: diff})
	case diff < 0:
		parts = append(parts, lost(r.Stored, base, counted))
	default:
		parts = append(parts, Part{Cause: MissingRaw, Clicks: 1}, Part{Cause: MissingAggregate, Clicks: 1})
	}
	if late > 0 {
		parts = append(parts, Part{Cause: Late, Clicks: late})
	}
	return parts
}

// surplus finds what is stored beside the valid clicks, and false when that cannot be found
// or something lacks.
func surplus(r Row, others []Click) ([]Click, bool) {
	n := r.Stored.Count - r.Raw.Count
	switch {
	case same(r.Stored, r.Raw):
		return nil, true
	case n <= 0 || !r.Stored.Known() || !r.Raw.Known():
		return nil, false
	}
	return pick(others, n, r.Stored.Digest-r.Raw.Digest)
}

// named are the causes of what is stored beside the valid clicks. Late clicks are meant to
// be there: those that are not are named.
func named(r Row, more []Click) (parts []Part) {
	late := r.Late.Count
	for c := Late; c < MissingRaw; c++ {
		of := slices.DeleteFunc(slices.Clone(more), func(m Click) bool { return m.Cause != c })
		if c == Late {
			late -= int64(len(of))
		} else if len(of) > 0 {
			parts = append(parts, part(c, of))
		}
	}
	switch {
	case late > 0:
		parts = append(parts, Part{Cause: Late, Clicks: late})
	case late < 0: // more than would be added repeat others
		parts = append(parts, Part{Cause: Duplicate, Clicks: -late})
	}
	return parts
}

func distance(a, b click.Sum) int64 { return max(a.Count-b.Count, b.Count-a.Count) }

// lost says which of the counted clicks are not stored.
func lost(stored, base click.Sum, counted []Click) Part {
	n := base.Count - stored.Count
	switch {
	case stored.Count == 0 && int64(len(counted)) == n:
		return part(MissingAggregate, counted)
	case n == 1 && stored.Known():
		for i := range counted {
			if counted[i].Digest == base.Digest-stored.Digest {
				return part(MissingAggregate, counted[i:i+1])
			}
		}
	}
	return Part{Cause: MissingAggregate, Clicks: n}
}

// pickMost is of how many clicks all choices are tried.
const pickMost = 16

// pick looks for n clicks with a digest: of few, any; of many, all of some causes, and of the late ones those that came
// first, as a repair adds what came before it. That reads one source a moment after the other, so of the last few
// it may have any.
func pick(clicks []Click, n int64, digest uint64) ([]Click, bool) {
	late := only(clicks, 1<<Late)
	for causes := 0; causes < 1<<MissingRaw; causes += 1 << Duplicate {
		chosen := only(clicks, causes)
		left := int(n) - len(chosen)
		if left < 0 || left > len(late) {
			continue
		}
		first := max(left-pickMost/2, 0)
		chosen = append(chosen, late[:first]...)
		if last, ok := choose(late[first:min(left+pickMost/2, len(late))], left-first, digest-sum(chosen)); ok {
			return append(chosen, last...), true
		}
	}
	if len(clicks) > pickMost {
		return nil, false
	}
	return choose(clicks, int(n), digest)
}

// only are the clicks of some causes, a bit for each.
func only(clicks []Click, causes int) (of []Click) {
	for i := range clicks {
		if causes>>clicks[i].Cause&1 == 1 {
			of = append(of, clicks[i])
		}
	}
	return of
}

func sum(clicks []Click) (digest uint64) {
	for i := range clicks {
		digest += clicks[i].Digest
	}
	return digest
}

// choose tries every choice of n of at most pickMost clicks.
func choose(clicks []Click, n int, digest uint64) (chosen []Click, ok bool) {
	for choice := range uint(1) << len(clicks) {
		if bits.OnesCount(choice) != n {
			continue
		}
		chosen = chosen[:0]
		for i := range clicks {
			if choice>>i&1 == 1 {
				chosen = append(chosen, clicks[i])
			}
		}
		if sum(chosen) == digest {
			return chosen, true
		}
	}
	return nil, false
}
