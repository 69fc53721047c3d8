package filter

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// author writes random predicates, each in two wordings: ours, and the one that
// means the same to expr's own machine, which refuses to compare what is lacking.
type author struct{ *rand.Rand }

func (a author) one(of ...string) string { return of[a.IntN(len(of))] }

// value is an operand and the fields it reads.
type value struct {
	text  string
	reads []string
}

func (a author) field(names ...string) value {
	n := a.one(names...)
	return value{n, []string{n}}
}

var words = []string{"", "KR", "kr", "US", "mobile", "ÄÖ", "äö", "Kelvin K", "a", "mob"}

func (a author) words() value {
	switch a.IntN(6) {
	case 0:
		return value{text: strconv.Quote(a.one(words...))}
	case 1:
		v := a.words()
		return value{"lower(" + v.text + ")", v.reads}
	}
	return a.field("country", "device", "ad_id", "note", "ip")
}

func (a author) number(depth int) value {
	switch k := a.IntN(8); {
	case k < 2:
		return value{text: a.one("0", "1", "2", "7", "2.5", "0.5", "1_000", "1e3")}
	case k == 2 && depth > 0:
		v := a.number(depth - 1)
		return value{"-(" + v.text + ")", v.reads}
	case k == 3 && depth > 0:
		l, r := a.number(depth-1), a.number(depth-1)
		return value{"(" + l.text + a.one(" + ", " - ", " * ") + r.text + ")", append(l.reads, r.reads...)}
	case k == 4 && depth > 0:
		l := a.number(depth - 1)
		return value{"(" + l.text + " / " + a.one("2", "0.5", "3") + ")", l.reads}
	case k == 5:
		l := a.field("clicks", "ts")
		return value{"(" + l.text + " % " + a.one("2", "3", "7") + ")", l.reads}
	}
	return a.field("clicks", "price", "ts")
}

// guarded is a test as expr must be told it.
func guarded(test string, reads ...[]string) string {
	parts := []string{"true"}
	for _, names := range reads {
		for _, n := range names {
			parts = append(parts, n+" != nil")
		}
	}
	return "(" + strings.Join(parts, " and ") + " ? (" + test + ") : false)"
}

// test writes one test in both wordings.
func (a author) test() (ours, theirs string) {
	list := func(v func() string) string {
		var items []string
		for range a.IntN(4) {
			items = append(items, v())
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	compare := func(l, r value) (string, string) {
		op := a.one("==", "!=", "<", "<=", ">", ">=")
		if op == "!=" {
			return l.text + " != " + r.text, "not " + guarded(l.text+" == "+r.text, l.reads, r.reads)
		}
		t := l.text + " " + op + " " + r.text
		return t, guarded(t, l.reads, r.reads)
	}
	switch a.IntN(9) {
	case 0, 1:
		return compare(a.words(), a.words())
	case 2:
		return compare(a.number(2), a.number(2))
	case 3:
		v := a.words()
		ours = v.text + " in " + list(func() string { return strconv.Quote(a.one(words...)) })
		return ours, guarded(ours, v.reads)
	case 4:
		v := a.number(1)
		ours = v.text + " in " + list(func() string { return a.one("1", "2", "7", "2.5", "0", "-1") })
		return ours, guarded(ours, v.reads)
	case 5:
		l, r := a.words(), a.words()
		ours = l.text + a.one(" contains ", " startsWith ", " endsWith ") + r.text
		return ours, guarded(ours, l.reads, r.reads)
	case 6:
		v := a.words()
		ours = v.text + " matches " + strconv.Quote(a.one("^K", "[a-z]+$", "(?i)ö", "", "^$", "mob|KR"))
		return ours, guarded(ours, v.reads)
	case 7:
		nets := []string{strconv.Quote(a.one("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32")), strconv.Quote(a.one("0.0.0.0/1", "10.1.2.3/32", "::/0"))}
		in := strings.Join(nets, ", ")
		return "ip in cidr(" + in + ")", guarded("within(ip, "+in+")", []string{"ip"})
	}
	v := a.field("mobile", "new")
	if a.IntN(2) == 0 {
		return v.text, guarded(v.text, v.reads)
	}
	if a.IntN(2) == 0 {
		n := a.one("country", "clicks", "mobile")
		return n + " == nil", n + " == nil"
	}
	return compareFlags(v, a.field("mobile", "new"), a.one("==", "!="))
}

func compareFlags(l, r value, op string) (string, string) {
	equal := guarded(l.text+" == "+r.text, l.reads, r.reads)
	if op == "!=" {
		equal = "not " + equal
	}
	return l.text + " " + op + " " + r.text, equal
}

// predicate joins tests.
func (a author) predicate(depth int) (ours, theirs string) {
	if depth == 0 || a.IntN(4) == 0 {
		return a.test()
	}
	o, t := a.predicate(depth - 1)
	if a.IntN(4) == 0 {
		return a.one("not ", "!") + "(" + o + ")", "not (" + t + ")"
	}
	o2, t2 := a.predicate(depth - 1)
	op := a.one(" and ", " or ", " && ", " || ")
	return "(" + o + op + o2 + ")", "(" + t + op + t2 + ")"
}

// click makes a click that lacks some fields.
func (a author) click() map[string]any {
	click := map[string]any{
		"ad_id": a.one(words...), "event_id": "e", "ts": a.IntN(1000), "country": a.one("KR", "US", "kr", "ÄÖ"), "device": a.one(words...),
		"ip":     a.one("10.1.2.3", "10.9.9.9", "128.0.0.1", "2001:db8::1", "::ffff:10.1.2.3", "KR", ""),
		"clicks": a.IntN(10) - 2, "price": a.real(2.5, 7, 1000, -1), "mobile": a.IntN(2) == 0, "new": a.IntN(2) == 0, "note": a.one(words...),
	}
	for name := range click {
		if a.IntN(5) == 0 {
			delete(click, name)
		}
	}
	return click
}

func (a author) real(of ...float64) float64 { return of[a.IntN(len(of))] }

// within is cidr the slow way, by another library.
func within(params ...any) (any, error) {
	ip := net.ParseIP(params[0].(string))
	for _, p := range params[1:] {
		_, n, err := net.ParseCIDR(p.(string))
		if err != nil {
			return nil, err
		}
		if ip != nil && n.Contains(ip) {
			return true, nil
		}
	}
	return false, nil
}

// TestAnySetIsExpr: whatever filters are in a set together, each says of any click
// what expr's own machine says.
func TestAnySetIsExpr(t *testing.T) {
	t.Parallel()
	a := author{rand.New(rand.NewPCG(1, 2))}
	for range 400 {
		var defs []Definition
		var programs []*vm.Program
		for i := range 1 + a.IntN(20) {
			ours, theirs := a.predicate(a.IntN(4))
			program, err := expr.Compile(theirs, expr.AllowUndefinedVariables(), expr.Function("within", within))
			if err != nil {
				t.Fatal(theirs, err)
			}
			defs = append(defs, Definition{ID: fmt.Sprintf("%02d", i), Where: ours})
			programs = append(programs, program)
		}
		s, err := NewSet(defs, some)
		if err != nil {
			t.Fatal(err)
		}
		f := s.NewFields()
		for range 50 {
			click := a.click()
			fill(s, f, click)
			mask := s.Match(f)
			for i, p := range programs {
				want, err := expr.Run(p, click)
				if err != nil {
					t.Fatal(defs[i].Where, click, err)
				}
				if got := mask>>i&1 == 1; got != want {
					t.Fatalf("%s\nis %t of %v", defs[i].Where, got, click)
				}
			}
		}
	}
}

// FuzzCompile: no text makes it panic, and what it takes can be asked.
func FuzzCompile(f *testing.F) {
	a := author{rand.New(rand.NewPCG(3, 4))}
	for range 50 {
		ours, _ := a.predicate(3)
		f.Add(ours)
	}
	f.Add(`country == 'KR' && ip in cidr("10.0.0.0/8") || len(x) ?? {a: 1}.b[0:1] | map(#)`)
	f.Fuzz(func(t *testing.T, where string) {
		s, err := NewSet([]Definition{{ID: "a", Where: where}, {ID: "b", Where: "not (" + where + ")"}}, some)
		if err != nil {
			if _, err := Compile(where, some); err != nil && (err.(*Error).Line < 1 || err.(*Error).Column < 1) {
				t.Error(err)
			}
			return
		}
		fields := s.NewFields()
		for _, click := range []map[string]any{nil, click1, a.click()} {
			fill(s, fields, click)
			if m := s.Match(fields); m != 1 && m != 2 {
				t.Errorf("both or neither of %q and its opposite: %b", where, m)
			}
		}
	})
}
