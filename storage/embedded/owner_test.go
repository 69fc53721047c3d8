package embedded

import (
	"strings"
	"testing"
)

// A store keeps its name, and serves one installation only: in another one
// versions begin anew and every result would lose against an old one.
func TestNameAndOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(owner string) (id string, err error) {
		s, err := Open(dir, Options{Owner: owner})
		if err != nil {
			return "", err
		}
		return s.ID(), s.Close()
	}
	first, err := open("one")
	if err != nil || first == "" {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := open("one"); err != nil || again != first {
		t.Errorf("named %q, later %q: %v", first, again, err)
	}
	if _, err := open("two"); err == nil || !strings.Contains(err.Error(), "another installation") {
		t.Errorf("another installation: %v", err)
	}
	if _, err := open(""); err != nil {
		t.Errorf("a reader that is nobody: %v", err)
	}
	other, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if other.ID() == first {
		t.Error("two stores have one name")
	}
}
