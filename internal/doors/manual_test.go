package doors

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/clickagg/clickagg/internal/click"
)

// manual is the page that problems and dead letters point to.
const manual = "docs/OPERATIONS.md"

// pages are the texts people read, beside the generated ones and the decisions.
var pages = []string{"README.md", manual, "docs/ARCHITECTURE.md", "docs/CONTRIBUTING.md", "docs/CHANGELOG.md", "deploy/systemd/README.md"}

func page(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	metric  = regexp.MustCompile(`\bclickagg_[a-z0-9_]*[a-z0-9]`)
)

// anchors are where a link into a page can lead, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, h[1]))
	}
	return all
}

// text reads a string literal; empty for anything else.
func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}

// problemWords are the words of the API's problems: what each kind{…} begins with.
func problemWords(sources []*source) []string {
	var words []string
	for _, s := range sources {
		if s.path != "internal/api/problem.go" {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if c, ok := n.(*ast.CompositeLit); ok && len(c.Elts) > 0 {
				if of, ok := c.Type.(*ast.Ident); ok && of.Name == "kind" {
					words = append(words, text(c.Elts[0]))
				}
			}
			return true
		})
	}
	return words
}

// metricNames are the metrics the code makes: whole names, and in a file with a
// prefix such as "clickagg_writer_" the prefix with what its desc is called with.
func metricNames(sources []*source) []string {
	var names []string
	for _, s := range sources {
		if s.test {
			continue
		}
		var prefix string
		var parts []string
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				switch name := text(n); {
				case metric.FindString(name)+"_" == name:
					prefix = name
				case metric.FindString(name) == name && name != "":
					names = append(names, name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "desc" && len(n.Args) > 0 {
					parts = append(parts, text(n.Args[0]))
				}
			}
			return true
		})
		for _, part := range parts {
			names = append(names, prefix+part)
		}
	}
	return names
}

// TestManualHasEveryWord: what a dead letter or a problem says can be looked up,
// under exactly one heading, because the second of two gets another anchor.
func TestManualHasEveryWord(t *testing.T) {
	t.Parallel()
	words := problemWords(repository(t))
	if len(words) < 10 {
		t.Fatalf("only %d words of problems found: the search is wrong", len(words))
	}
	for r := range click.ReasonsEnd {
		words = append(words, r.String())
	}
	words = append(words, "late", "crowded", "stale", "refused")
	slices.Sort(words)
	have := anchors(page(t, manual))
	for _, word := range slices.Compact(words) {
		if n := count(have, word); n != 1 {
			t.Errorf("%s: %d headings say %q; one should", manual, n, word)
		}
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// TestManualHasEveryMetric: the page names the metrics there are, and no other.
func TestManualHasEveryMetric(t *testing.T) {
	t.Parallel()
	code := metricNames(repository(t))
	if len(code) < 10 {
		t.Fatalf("only %d metrics found in the code: the search is wrong", len(code))
	}
	named := metric.FindAllString(page(t, manual), -1)
	for _, name := range code {
		if !slices.Contains(named, name) {
			t.Errorf("%s does not explain %s", manual, name)
		}
	}
	for _, name := range named {
		if !slices.Contains(code, name) {
			t.Errorf("%s names %s, which is not in the code", manual, name)
		}
	}
}

// TestAlertsHaveMetrics: alerting rules ask for metrics that there are.
func TestAlertsHaveMetrics(t *testing.T) {
	t.Parallel()
	code := metricNames(repository(t))
	named := metric.FindAllString(page(t, "deploy/prometheus/alerts.yaml"), -1)
	if len(named) == 0 {
		t.Fatal("no metrics found in the rules: the search is wrong")
	}
	for _, name := range named {
		if !slices.Contains(code, name) {
			t.Errorf("the rules name %s, which is not in the code", name)
		}
	}
}

// TestReadmeHasEveryRoom: a newcomer finds each room on the map.
func TestReadmeHasEveryRoom(t *testing.T) {
	t.Parallel()
	readme := page(t, "README.md")
	var rooms []string
	for _, s := range repository(t) {
		if path.Base(s.path) == "doc.go" { // TestRooms asks for one in each
			rooms = append(rooms, s.room)
		}
	}
	for _, room := range rooms {
		if !strings.Contains(readme, "`"+room+"`") {
			t.Errorf("README.md: the map of rooms lacks `%s`", room)
		}
	}
}

// TestLinksLead: every link from one page of ours to another arrives.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	for _, from := range pages {
		for _, l := range link.FindAllStringSubmatch(fence.ReplaceAllString(page(t, from), ""), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(l[1], "#")
			to := from
			if file != "" {
				to = path.Join(path.Dir(from), file)
			}
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(to))); err != nil {
				t.Errorf("%s: the link %s leads nowhere", from, l[1])
			} else if anchor != "" && !slices.Contains(anchors(page(t, to)), anchor) {
				t.Errorf("%s: the link %s leads to no heading", from, l[1])
			}
		}
	}
}
