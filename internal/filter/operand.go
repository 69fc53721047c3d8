package filter

import (
	"fmt"
	"math"
	"strconv"
)

// text is an operand that is a string: a field, perhaps in lower case, or a constant.
type text struct {
	slot  int // of the field, or constant
	lower bool
	fixed []byte
}

// constant is the slot of what no field says.
const constant = -1

// String is equal for texts that are equal for every click.
func (t *text) String() string {
	if t.slot == constant {
		return strconv.Quote(string(t.fixed))
	}
	return fmt.Sprintf("$%d/%t", t.slot, t.lower)
}

// get returns the text, false when the click lacks the field.
func (t *text) get(f *Fields) ([]byte, bool) {
	if t.slot == constant {
		return t.fixed, true
	}
	c := &f.cells[t.slot]
	if t.lower && c.has {
		return c.lowered(), true
	}
	return c.text, c.has
}

// number is an operand that is an int or a float: a field, a constant, or what
// an operator makes of one or two others.
type number struct {
	op   byte // one of + - * / %, n for the negative; f is a field and c a constant
	kind Type
	slot int
	i    int64
	f    float64
	a, b *number
}

// String is equal for numbers that are equal for every click.
func (n *number) String() string {
	switch n.op {
	case 'c':
		if n.kind == Int {
			return strconv.FormatInt(n.i, 10)
		}
		return strconv.FormatFloat(n.f, 'e', -1, 64)
	case 'f':
		return "$" + strconv.Itoa(n.slot)
	case 'n':
		return "(-" + n.a.String() + ")"
	}
	return "(" + n.a.String() + string(rune(n.op)) + n.b.String() + ")"
}

// isConstant tells whether the number is the same for every click.
func (n *number) isConstant() bool {
	switch n.op {
	case 'c':
		return true
	case 'f':
		return false
	case 'n':
		return n.a.isConstant()
	}
	return n.a.isConstant() && n.b.isConstant()
}

// int returns a number whose kind is Int. As in Go, sums and products wrap
// around. Lacking is what a lacking field or a division by zero is part of.
func (n *number) int(f *Fields) (int64, bool) {
	switch n.op {
	case 'c':
		return n.i, true
	case 'f':
		c := &f.cells[n.slot]
		return c.number, c.has
	}
	a, ok := n.a.int(f)
	if !ok || n.op == 'n' {
		return -a, ok
	}
	b, ok := n.b.int(f)
	switch n.op {
	case '+':
		return a + b, ok
	case '-':
		return a - b, ok
	case '*':
		return a * b, ok
	}
	if b == 0 {
		return 0, false
	}
	return a % b, ok
}

// float returns any number as a float.
func (n *number) float(f *Fields) (float64, bool) {
	if n.kind == Int {
		i, ok := n.int(f)
		return float64(i), ok
	}
	switch n.op {
	case 'c':
		return n.f, true
	case 'f':
		c := &f.cells[n.slot]
		return c.real, c.has
	}
	a, ok := n.a.float(f)
	if !ok || n.op == 'n' {
		return -a, ok
	}
	b, ok := n.b.float(f)
	switch n.op {
	case '+':
		return a + b, ok
	case '-':
		return a - b, ok
	case '*':
		return a * b, ok
	}
	if b == 0 {
		return math.NaN(), false
	}
	return a / b, ok
}
