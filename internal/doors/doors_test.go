package doors

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// ignored reads .gitignore, of which this repository uses plain patterns only.
func ignored(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func repository(t *testing.T) []*source {
	t.Helper()
	var sources []*source
	err := filepath.WalkDir(top, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			hidden := rel != "." && strings.HasPrefix(e.Name(), ".")
			if hidden || e.Name() == "testdata" || !strings.Contains(rel, "/") && rel != "." && !slices.Contains(topLevel, rel) {
				return filepath.SkipDir // not ours to build; strangers at the top have a test of their own
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		s, err := parse(rel, text)
		if err != nil {
			return err
		}
		sources = append(sources, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func TestRooms(t *testing.T) {
	t.Parallel()
	sources := repository(t)
	if len(sources) < 10 {
		t.Fatalf("only %d files found: the search is wrong", len(sources))
	}
	for _, b := range checkAll(sources) {
		t.Error(b)
	}
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(top)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, b := range checkTop(names, ignored(t)) {
		t.Error(b)
	}
}
