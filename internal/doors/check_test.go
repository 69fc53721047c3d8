package doors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is one parsed file.
type source struct {
	path  string // from the top of the repository, with slashes
	room  string // its directory
	test  bool
	fset  *token.FileSet
	tree  *ast.File
	lines int
}

func parse(file string, text []byte) (*source, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{
		path: file, room: path.Dir(file), test: strings.HasSuffix(file, "_test.go"),
		fset: fset, tree: tree, lines: strings.Count(string(text), "\n"),
	}, nil
}

// checkAll returns what breaks a rule, as "file:line: rule", in order.
func checkAll(sources []*source) []string {
	var broken []string
	for _, s := range sources {
		say := func(pos token.Pos, format string, args ...any) {
			broken = append(broken, fmt.Sprintf("%s:%d: %s", s.path, s.fset.Position(pos).Line, fmt.Sprintf(format, args...)))
		}
		checkImports(s, say)
		if slices.Contains(pureRooms, s.room) && !s.test {
			checkPure(s, say)
		}
		checkLengths(s, say)
		checkComments(s, say)
		checkExported(s, say)
	}
	return append(broken, checkDocs(sources)...)
}

type sayer func(pos token.Pos, format string, args ...any)

func checkImports(s *source, say sayer) {
	for _, spec := range s.tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		checkHome(s, imported, spec.Pos(), say)
		if other, ours := strings.CutPrefix(imported, module); ours {
			checkDoor(s, other, spec.Pos(), say)
		}
		if slices.Contains(pureRooms, s.room) && !s.test && !pureImport(imported) {
			say(spec.Pos(), "pure room %s imports %s; it may import %s, pure rooms and pure parts of the standard library", s.room, imported, strings.Join(pureModules, ", "))
		}
	}
}

func checkHome(s *source, imported string, at token.Pos, say sayer) {
	if within(s.room, forTests...) || s.test && within(s.room, lookers...) {
		return
	}
	for _, h := range homes {
		if within(imported, h.library) && !within(s.room, h.rooms...) {
			say(at, "%s may be imported in %s only", h.library, strings.Join(h.rooms, ", "))
		}
	}
}

// checkDoor looks at an import of one room by another.
func checkDoor(s *source, other string, at token.Pos, say sayer) {
	mine, theirs := root(s.room, stages), root(other, stages)
	pure := slices.Contains(pureRooms, s.room) && slices.Contains(pureRooms, other)
	if within(other, benchmarks...) && !s.test && !within(s.room, benchmarks...) {
		say(at, "%s measures the product, and is no part of it", other)
	}
	if mine != "" && theirs != "" && mine != theirs && !pure {
		say(at, "stages never import each other: %s imports %s", mine, other)
	}
	if within(s.room, "config") && !slices.Contains(judges, other) {
		say(at, "config opens nothing of ours: it imports %s", other)
	}
	if within(other, forTests...) && !s.test && !within(s.room, forTests...) && !within(s.room, benchmarks...) {
		say(at, "%s is for tests and benchmarks: only they import it", other)
	}
}

func pureImport(imported string) bool {
	if other, ours := strings.CutPrefix(imported, module); ours {
		return slices.Contains(pureRooms, other)
	}
	return within(imported, pureModules...) || within(imported, pureStd...) && !slices.Contains(notPureStd, imported)
}

// checkPure looks for what a pure room may not do, whatever it imports.
func checkPure(s *source, say sayer) {
	timeName := localName(s.tree, "time")
	ast.Inspect(s.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n.Pos(), "pure room %s starts a goroutine", s.room)
		case *ast.SelectStmt:
			say(n.Pos(), "pure room %s has a select", s.room)
		case *ast.ChanType, *ast.SendStmt:
			say(n.Pos(), "pure room %s uses a channel", s.room)
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				say(n.Pos(), "pure room %s uses a channel", s.room)
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && slices.Contains(impureTime, n.Sel.Name) {
				say(n.Pos(), "pure room %s uses time.%s: time enters as an argument", s.room, n.Sel.Name)
			}
		case *ast.ImportSpec:
			if n.Name != nil && n.Name.Name == "." {
				say(n.Pos(), "pure room %s imports without a name, which hides what it uses", s.room)
			}
		}
		return true
	})
}

// localName is what a file calls an import; empty when it does not import it.
func localName(tree *ast.File, imported string) string {
	for _, spec := range tree.Imports {
		if spec.Path.Value == strconv.Quote(imported) {
			if spec.Name != nil {
				return spec.Name.Name
			}
			return path.Base(imported)
		}
	}
	return ""
}

func checkLengths(s *source, say sayer) {
	if ast.IsGenerated(s.tree) {
		return
	}
	most := longestFile
	if s.test {
		most = longestTestFile
	}
	if s.lines > most {
		say(s.tree.Package, "the file has %d lines; at most %d are allowed", s.lines, most)
	}
	for _, d := range s.tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > longestFunc {
			say(f.Pos(), "function %s has %d lines; at most %d are allowed", f.Name.Name, n, longestFunc)
		}
	}
}

var unfinishedWord = regexp.MustCompile(`\b(` + strings.Join(unfinished, "|") + `)\b`)

func checkComments(s *source, say sayer) {
	for _, group := range s.tree.Comments {
		for _, c := range group.List {
			if word := unfinishedWord.FindString(c.Text); word != "" {
				say(c.Pos(), "%s in a comment: finish it, or file an issue", word)
			}
		}
	}
}

// checkExported wants a comment on each exported name. A group of names may
// share one; a method counts when its type is exported too.
func checkExported(s *source, say sayer) {
	if s.test || s.tree.Name.Name == "main" || ast.IsGenerated(s.tree) {
		return
	}
	want := func(name *ast.Ident, comments ...*ast.CommentGroup) {
		if name.IsExported() && !slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c != nil }) {
			say(name.Pos(), "exported %s has no comment", name.Name)
		}
	}
	for _, d := range s.tree.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			isMethod := d.Recv != nil
			if !isMethod || ast.IsExported(receiver(d.Recv.List[0].Type)) && !slices.Contains(selfSpeaking, d.Name.Name) {
				want(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					want(spec.Name, d.Doc, spec.Doc, spec.Comment)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						want(name, d.Doc, spec.Doc, spec.Comment)
					}
				}
			}
		}
	}
}

// receiver is the name of a method's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	default:
		return ""
	}
}

// checkDocs wants the sign on each door: a doc.go that begins with a sentence.
func checkDocs(sources []*source) []string {
	doc := map[string]string{} // room to what its sign says
	var rooms []string
	for _, s := range sources {
		if !slices.Contains(rooms, s.room) {
			rooms = append(rooms, s.room)
		}
		if path.Base(s.path) == "doc.go" && s.tree.Doc != nil {
			doc[s.room] = s.tree.Doc.Text()
		}
	}
	var broken []string
	for _, room := range rooms {
		begins := "Package " + path.Base(room) + " "
		if within(room, commands...) {
			begins = "Command " + path.Base(room) + " "
		}
		if !strings.HasPrefix(doc[room], begins) || !strings.Contains(doc[room], ".") {
			broken = append(broken, fmt.Sprintf("%s/doc.go:1: a package comment is missing that begins with %q and says in a sentence what the room is for", room, begins))
		}
	}
	return broken
}

// checkTop looks at the names at the top of the repository. ignored are the
// patterns that version control passes over.
func checkTop(names, ignored []string) []string {
	var broken []string
	for _, name := range names {
		skip := slices.ContainsFunc(ignored, func(pattern string) bool {
			ok, err := path.Match(strings.Trim(pattern, "/"), name)
			return ok && err == nil
		})
		if !skip && !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) {
			broken = append(broken, fmt.Sprintf("%s:1: nothing but %s and dot-files stands at the top of the repository", name, strings.Join(topLevel, " ")))
		}
	}
	return broken
}
