package filter

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

// operand is a compiled value: of the kind that says which part is used.
type operand struct {
	kind   Type // 0 is nil
	text   text
	number *number
	slot   int  // of a bool field, or constant
	flag   bool // a constant bool
}

// field is the slot of the field that the operand is, or constant when it is
// something else.
func (o *operand) field() int {
	switch {
	case o.kind == String && !o.text.lower:
		return o.text.slot
	case o.kind == Bool:
		return o.slot
	case o.kind.isNumber() && o.number.op == 'f':
		return o.number.slot
	}
	return constant
}

// operand compiles a value.
func (c *compiler) operand(n ast.Node) (operand, error) {
	switch n := n.(type) {
	case *ast.NilNode:
		return operand{}, nil
	case *ast.BoolNode:
		return operand{kind: Bool, slot: constant, flag: n.Value}, nil
	case *ast.StringNode:
		return operand{kind: String, text: text{slot: constant, fixed: []byte(n.Value)}}, nil
	case *ast.IntegerNode:
		return operand{kind: Int, number: &number{op: 'c', kind: Int, i: int64(n.Value)}}, nil
	case *ast.FloatNode:
		return operand{kind: Float, number: &number{op: 'c', kind: Float, f: n.Value}}, nil
	case *ast.IdentifierNode:
		return c.field(n, n.Value)
	case *ast.MemberNode:
		// Names that are no words of the language are written $env["user-agent"].
		env, whole := n.Node.(*ast.IdentifierNode)
		name, fixed := n.Property.(*ast.StringNode)
		if whole && fixed && env.Value == "$env" && !n.Optional {
			return c.field(n, name.Value)
		}
	case *ast.UnaryNode:
		return c.sign(n)
	case *ast.BinaryNode:
		return c.arithmetic(n)
	case *ast.BuiltinNode:
		if n.Name == "lower" && len(n.Arguments) == 1 {
			return c.lower(n)
		}
	}
	return operand{}, c.mistake(n, "%s not supported", strange(n))
}

func (c *compiler) field(n ast.Node, name string) (operand, error) {
	t := c.types.of(name)
	if t == 0 {
		return operand{}, c.mistake(n, "there is no field %.40s%s", name, c.types.hint(name))
	}
	slot := c.slot(name, t)
	switch t {
	case String:
		return operand{kind: t, text: text{slot: slot}}, nil
	case Bool:
		return operand{kind: t, slot: slot}, nil
	}
	return operand{kind: t, number: &number{op: 'f', kind: t, slot: slot}}, nil
}

// lower compiles lower(…).
func (c *compiler) lower(n *ast.BuiltinNode) (operand, error) {
	o, err := c.operand(n.Arguments[0])
	switch {
	case err != nil:
	case o.kind != String:
		err = c.mistake(n.Arguments[0], "lower takes a string, not %s", article(o.kind))
	case o.text.slot == constant:
		o.text.fixed = []byte(strings.ToLower(string(o.text.fixed)))
	default:
		o.text.lower = true
	}
	return o, err
}

func (c *compiler) sign(n *ast.UnaryNode) (operand, error) {
	if n.Operator != "-" && n.Operator != "+" {
		return operand{}, c.mistake(n, "the result of %s is no value to compare; join tests by and, or, not", n.Operator)
	}
	o, err := c.operand(n.Node)
	switch {
	case err != nil:
	case !o.kind.isNumber():
		err = c.mistake(n, "%s takes a number, not %s", n.Operator, article(o.kind))
	case n.Operator == "-":
		o.number = &number{op: 'n', kind: o.kind, a: o.number}
	}
	return o, err
}

func (c *compiler) arithmetic(n *ast.BinaryNode) (operand, error) {
	if !strings.Contains("+-*/%", n.Operator) {
		if operators[n.Operator] {
			return operand{}, c.mistake(n, "the result of %s is no value to compare; join tests by and, or, not", n.Operator)
		}
		return operand{}, c.mistake(n, "%s not supported", strange(n))
	}
	a, err := c.operand(n.Left)
	if err != nil {
		return operand{}, err
	}
	b, err := c.operand(n.Right)
	switch {
	case err != nil:
		return operand{}, err
	case !a.kind.isNumber() || !b.kind.isNumber():
		return operand{}, c.mistake(n, "%s takes two numbers, not %s and %s", n.Operator, article(a.kind), article(b.kind))
	case n.Operator == "%" && (a.kind != Int || b.kind != Int):
		return operand{}, c.mistake(n, "%% takes two ints")
	}
	kind := Int
	if n.Operator == "/" || a.kind == Float || b.kind == Float {
		kind = Float
	}
	return operand{kind: kind, number: &number{op: n.Operator[0], kind: kind, a: a.number, b: b.number}}, nil
}

// operators are those whose result is true or false.
var operators = map[string]bool{
	"and": true, "&&": true, "or": true, "||": true, "==": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true,
	"in": true, "contains": true, "startsWith": true, "endsWith": true, "matches": true,
}

// strange names what the language has and predicates do not.
func strange(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BinaryNode:
		return "the operator " + n.Operator + " is"
	case *ast.BuiltinNode:
		if n.Name == "lower" {
			return "lower with other than one value is"
		}
		return "the function " + n.Name + " is"
	case *ast.CallNode:
		if f, ok := n.Callee.(*ast.IdentifierNode); ok && f.Value == "cidr" {
			return "cidr(…) but after in is"
		} else if ok {
			return "the function " + f.Value + " is"
		}
		return "a call is"
	case *ast.ConditionalNode:
		return "a choice (? : or if) is"
	case *ast.ArrayNode:
		return "a list but after in is"
	case *ast.MapNode:
		return "a map is"
	case *ast.MemberNode, *ast.ChainNode:
		return "a field within a field is"
	case *ast.SliceNode:
		return "a slice is"
	case *ast.VariableDeclaratorNode:
		return "let is"
	case *ast.SequenceNode:
		return "more than one expression is"
	case *ast.BytesNode:
		return "a bytes literal is"
	}
	return "this is"
}
