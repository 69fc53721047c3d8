package filter

import (
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// Limits of a predicate.
const (
	maxWhere     = 16 << 10 // bytes of its text
	maxPattern   = 1000     // bytes of a regular expression
	maxProgram   = 2000     // instructions it is compiled to
	maxFieldName = 128      // bytes
)

// Predicate is a compiled predicate: see [Compile].
type Predicate struct {
	root  *node
	needs []Field
}

// Needs are the fields that the predicate reads.
func (p *Predicate) Needs() []Field { return p.needs }

// Compile checks a predicate over a click's fields and the further ones in types,
// which must be sound ([Types.Check]). What is wrong with it is an *[Error].
func Compile(where string, types Types) (*Predicate, error) {
	c := newCompiler(types)
	root, err := c.compile(where)
	if err != nil {
		return nil, err
	}
	return &Predicate{root, c.needs}, nil
}

// verb is what a node of a compiled predicate does.
type verb uint8

const (
	always verb = iota
	never
	ask // one test
	and // a and b
	or  // a or b
	not // not a
)

// node is a compiled predicate.
type node struct {
	verb verb
	test int // index in the compiler's tests
	a, b *node
}

// compiler gathers what several predicates have in common.
type compiler struct {
	types Types
	needs []Field
	slots map[string]int
	tests []test
	known map[string]int // tests by their String
	text  string         // of the predicate being compiled
}

func newCompiler(types Types) *compiler {
	return &compiler{types: types, slots: map[string]int{}, known: map[string]int{}}
}

func (c *compiler) compile(where string) (*node, error) {
	switch {
	case strings.TrimSpace(where) == "":
		return nil, &Error{1, 1, "the predicate is empty"}
	case len(where) > maxWhere:
		return nil, &Error{1, 1, "the predicate is longer than 16 KiB"}
	case !utf8.ValidString(where):
		return nil, &Error{1, 1, "the predicate is not UTF-8"}
	}
	tree, err := parser.Parse(where)
	if err != nil {
		return nil, fromParser(err)
	}
	c.text = where
	return c.condition(tree.Node)
}

// condition compiles what is true or false.
func (c *compiler) condition(n ast.Node) (*node, error) {
	switch n := n.(type) {
	case *ast.BoolNode:
		if n.Value {
			return &node{verb: always}, nil
		}
		return &node{verb: never}, nil
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return c.negated(c.condition(n.Node))
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			return c.joined(and, n)
		case "or", "||":
			return c.joined(or, n)
		case "==", "<", "<=", ">", ">=":
			return c.comparison(n, n.Operator)
		case "!=":
			return c.negated(c.comparison(n, "=="))
		case "in":
			return c.membership(n)
		case "contains", "startsWith", "endsWith":
			return c.partOf(n)
		case "matches":
			return c.matching(n)
		}
	}
	o, err := c.operand(n)
	switch {
	case err != nil:
		return nil, err
	case o.kind != Bool:
		return nil, c.mistake(n, "this is %s; a predicate is true or false", article(o.kind))
	}
	return c.ask(&flag{o.slot, true}), nil
}

func (c *compiler) negated(n *node, err error) (*node, error) {
	if err != nil {
		return nil, err
	}
	return &node{verb: not, a: n}, nil
}

func (c *compiler) joined(v verb, n *ast.BinaryNode) (*node, error) {
	a, err := c.condition(n.Left)
	if err != nil {
		return nil, err
	}
	b, err := c.condition(n.Right)
	return &node{verb: v, a: a, b: b}, err
}

// ask makes a node of a test; the same test of several predicates is one.
func (c *compiler) ask(t test) *node {
	name := t.String()
	i, ok := c.known[name]
	if !ok {
		i = len(c.tests)
		c.tests = append(c.tests, t)
		c.known[name] = i
	}
	return &node{verb: ask, test: i}
}

// slot returns the place of a field among the needed ones.
func (c *compiler) slot(name string, t Type) int {
	i, ok := c.slots[name]
	if !ok {
		i = len(c.needs)
		c.needs = append(c.needs, Field{name, t})
		c.slots[name] = i
	}
	return i
}

// article names a value of a type.
func article(t Type) string {
	switch t {
	case Int:
		return "an int"
	case 0:
		return "nil"
	}
	return "a " + t.String()
}
