package filter

import (
	"net/netip"
	"regexp"
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"
)

// comparison compiles == and the orders.
func (c *compiler) comparison(n *ast.BinaryNode, operator string) (*node, error) {
	a, err := c.operand(n.Left)
	if err != nil {
		return nil, err
	}
	b, err := c.operand(n.Right)
	if err != nil {
		return nil, err
	}
	order, equal := orders[operator], operator == "=="
	switch {
	case equal && (a.kind == 0) != (b.kind == 0):
		field := a.field()
		if a.kind == 0 {
			field = b.field()
		}
		if field == constant {
			return nil, c.mistake(n, "only a field is compared with nil")
		}
		return c.negated(c.ask(&present{field}), nil)
	case a.kind == String && b.kind == String:
		if equal && b.text.slot == constant {
			return c.ask(&amongTexts{a.text, oneOf(b.text)}), nil
		}
		if equal && a.text.slot == constant {
			return c.ask(&amongTexts{b.text, oneOf(a.text)}), nil
		}
		return c.ask(&compareTexts{order, a.text, b.text}), nil
	case a.kind.isNumber() && b.kind.isNumber():
		return c.ask(&compareNumbers{order, a.number, b.number}), nil
	case equal && a.kind == Bool && b.kind == Bool:
		return c.sameFlags(a, b), nil
	case a.kind != b.kind:
		return nil, c.mistake(n, "%s is never compared with %s", article(a.kind), article(b.kind))
	}
	return nil, c.mistake(n, "%s and %s are not compared by %s", article(a.kind), article(b.kind), n.Operator)
}

func oneOf(t text) map[string]struct{} { return map[string]struct{}{string(t.fixed): {}} }

func (c *compiler) sameFlags(a, b operand) *node {
	switch {
	case a.slot != constant && b.slot != constant:
		return c.ask(&sameFlags{a.slot, b.slot})
	case a.slot != constant:
		return c.ask(&flag{a.slot, b.flag})
	case b.slot != constant:
		return c.ask(&flag{b.slot, a.flag})
	case a.flag == b.flag:
		return &node{verb: always}
	}
	return &node{verb: never}
}

// membership compiles in.
func (c *compiler) membership(n *ast.BinaryNode) (*node, error) {
	a, err := c.operand(n.Left)
	if err != nil {
		return nil, err
	}
	switch right := n.Right.(type) {
	case *ast.CallNode:
		if f, ok := right.Callee.(*ast.IdentifierNode); ok && f.Value == "cidr" {
			return c.nets(n, a, right)
		}
	case *ast.ArrayNode:
		return c.among(n, a, right)
	}
	return nil, c.mistake(n.Right, "after in comes a list [...] or cidr(...)")
}

func (c *compiler) among(n *ast.BinaryNode, a operand, list *ast.ArrayNode) (*node, error) {
	if a.kind != String && !a.kind.isNumber() {
		return nil, c.mistake(n, "%s is not looked for in a list", article(a.kind))
	}
	texts := map[string]struct{}{}
	numbers := amongNumbers{a.number, map[int64]struct{}{}, map[float64]struct{}{}}
	for _, item := range list.Nodes {
		o, err := c.operand(item)
		switch {
		case err != nil:
			return nil, err
		case o.kind == String && a.kind == String && o.text.slot == constant:
			texts[string(o.text.fixed)] = struct{}{}
		case o.kind.isNumber() && a.kind.isNumber() && o.number.isConstant():
			numbers.add(o.number)
		default:
			return nil, c.mistake(item, "a list in which %s is looked for has constants of that type", article(a.kind))
		}
	}
	if a.kind == String {
		return c.ask(&amongTexts{a.text, texts}), nil
	}
	return c.ask(&numbers), nil
}

// add adds a constant; a division by zero is none.
func (t *amongNumbers) add(constant *number) {
	if t.a.kind == Int && constant.kind == Int {
		if v, ok := constant.int(nil); ok {
			t.ints[v] = struct{}{}
		}
	} else if v, ok := constant.float(nil); ok {
		t.floats[v] = struct{}{}
	}
}

// nets compiles in cidr(…).
func (c *compiler) nets(n *ast.BinaryNode, a operand, call *ast.CallNode) (*node, error) {
	field := a.field()
	if a.kind != String || field == constant {
		return nil, c.mistake(n, "in cidr(...) asks of a string field")
	}
	if len(call.Arguments) == 0 {
		return nil, c.mistake(call, "cidr takes at least one network")
	}
	var nets []netip.Prefix
	for _, item := range call.Arguments {
		s, ok := item.(*ast.StringNode)
		if !ok {
			return nil, c.mistake(item, `cidr takes networks as strings, such as "10.0.0.0/8"`)
		}
		p, err := netip.ParsePrefix(s.Value)
		switch {
		case err != nil:
			return nil, c.mistake(item, `%.60q is no network such as "10.0.0.0/8" or "2001:db8::/32"`, s.Value)
		case p.Addr().Is4In6():
			return nil, c.mistake(item, "%.60q: write the network as IPv4", s.Value)
		case p != p.Masked():
			return nil, c.mistake(item, "%.60q has bits after its prefix; is %v meant?", s.Value, p.Masked())
		}
		nets = append(nets, p)
	}
	return c.ask(&inNets{field, prune(nets)}), nil
}

// partOf compiles contains, startsWith and endsWith.
func (c *compiler) partOf(n *ast.BinaryNode) (*node, error) {
	a, err := c.operand(n.Left)
	if err != nil {
		return nil, err
	}
	b, err := c.operand(n.Right)
	switch {
	case err != nil:
		return nil, err
	case a.kind != String || b.kind != String:
		return nil, c.mistake(n, "%s takes two strings, not %s and %s", n.Operator, article(a.kind), article(b.kind))
	}
	return c.ask(&part{n.Operator, parts[n.Operator], a.text, b.text}), nil
}

// matching compiles matches.
func (c *compiler) matching(n *ast.BinaryNode) (*node, error) {
	a, err := c.operand(n.Left)
	if err != nil {
		return nil, err
	}
	p, ok := n.Right.(*ast.StringNode)
	switch {
	case a.kind != String:
		return nil, c.mistake(n, "matches takes a string, not %s", article(a.kind))
	case !ok:
		return nil, c.mistake(n.Right, "after matches comes a regular expression in quotes")
	case len(p.Value) > maxPattern:
		return nil, c.mistake(p, "the regular expression is longer than %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(p.Value, syntax.Perl)
	if err != nil {
		return nil, c.mistake(p, "%v", err)
	}
	if program, err := syntax.Compile(parsed.Simplify()); err != nil || len(program.Inst) > maxProgram {
		return nil, c.mistake(p, "the regular expression is too costly; does it repeat long parts many times?")
	}
	re, err := regexp.Compile(p.Value)
	if err != nil {
		return nil, c.mistake(p, "%v", err)
	}
	return c.ask(&pattern{a.text, re}), nil
}
