package click

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"testing"
)

func TestStatesHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for s := Provisional; s <= Corrected; s++ {
		back, err := ParseState(s.String())
		if err != nil || back != s || seen[s.String()] {
			t.Errorf("state %d is called %q, which reads as %d, %v", s, s, back, err)
		}
		seen[s.String()] = true
	}
	for _, s := range []State{0, Corrected + 1, 255} {
		if _, err := ParseState(s.String()); err == nil {
			t.Errorf("state %d reads as one", s)
		}
	}
	if _, err := ParseState(""); err == nil {
		t.Error("no name reads as a state")
	}
}

// TestReasonsAreStable: names and numbers of the reasons are in logs, metrics and
// people's queries. A new reason goes to the end.
func TestReasonsAreStable(t *testing.T) {
	t.Parallel()
	want := [...]string{
		"empty", "malformed", "duplicate_key", "bad_text", "missing_field", "bad_type", "too_long", "too_large",
		"too_deep", "bad_time", "ahead", "bad_cloudevent", "bad_watermark", "untrusted_watermark", "decoder_panic", "bad_batch",
	}
	if len(want) != int(ReasonsEnd) {
		t.Fatalf("%d reasons, %d known here", ReasonsEnd, len(want))
	}
	seen := map[string]bool{}
	for r := range ReasonsEnd {
		if r.String() != want[r] || seen[r.String()] {
			t.Errorf("reason %d is called %q, it was %q", r, r, want[r])
		}
		seen[r.String()] = true
	}
	if got := ReasonsEnd.String(); seen[got] {
		t.Errorf("what is no reason is called %q", got)
	}
}

// TestWordsAreDocumented: every constant of states, reasons and headers says what it means.
func TestWordsAreDocumented(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "words.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, decl := range file.Decls {
		block, ok := decl.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		for _, spec := range block.Specs {
			value := spec.(*ast.ValueSpec)
			n += len(value.Names)
			if value.Comment == nil && value.Doc == nil && (block.Doc == nil || len(block.Specs) > 1) {
				t.Errorf("%s is not documented", value.Names[0])
			}
		}
	}
	if n < int(ReasonsEnd)+int(Corrected) {
		t.Errorf("only %d constants found", n)
	}
}

func TestTopicsAreDistinct(t *testing.T) {
	t.Parallel()
	topics := reflect.ValueOf(TopicsOf("p"))
	seen := map[string]bool{}
	for i := range topics.NumField() {
		name := topics.Field(i).String()
		if len(name) < 3 || name[:2] != "p." || seen[name] {
			t.Errorf("topic %s is called %q", topics.Type().Field(i).Name, name)
		}
		seen[name] = true
	}
}

func TestIdentityHolds(t *testing.T) {
	t.Parallel()
	a := Account{Skipped: 9, Received: 10, Marks: 1, Late: 2, Routed: 4}
	a.Rejected[Empty], a.Rejected[DecoderPanic] = 2, 1
	if !a.Holds() || a.RejectedTotal() != 3 {
		t.Errorf("%+v does not hold, rejected %d", a, a.RejectedTotal())
	}
	for name, change := range map[string]func(*Account){
		"received": func(a *Account) { a.Received++ }, "marks": func(a *Account) { a.Marks++ }, "late": func(a *Account) { a.Late++ },
		"rejected": func(a *Account) { a.Rejected[Ahead]++ }, "routed": func(a *Account) { a.Routed++ },
	} {
		b := a
		if change(&b); b.Holds() {
			t.Errorf("one more %s, and it still holds", name)
		}
	}
	if n := (Tally{1, 2, 4, 8, 16}).Total(); n != 31 {
		t.Errorf("the verdicts add up to %d", n)
	}
}

func TestErrorsSayWhat(t *testing.T) {
	t.Parallel()
	_, err := ParseSection([]byte{9})
	if want := "section: malformed: format version 9, this program reads 2 to 4"; err == nil || err.Error() != want || !errors.Is(err, ErrWire) {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := goldenSource.String(); got != "clicks/3" {
		t.Errorf("the source is called %s", got)
	}
}
