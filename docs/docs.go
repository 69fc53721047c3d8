package docs

import (
	_ "embed" // the page
	"strings"
)

//go:embed OPERATIONS.md
var operations string

// Section returns what OPERATIONS.md says under a heading of the third level, without
// the heading, and false when it has no such heading.
func Section(heading string) (text string, ok bool) {
	_, rest, ok := strings.Cut(operations, "\n### "+heading+"\n")
	if !ok {
		return "", false
	}
	for _, next := range []string{"\n### ", "\n## "} {
		rest, _, _ = strings.Cut(rest, next)
	}
	return strings.TrimSpace(rest), true
}
