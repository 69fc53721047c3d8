package ops

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProcessID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id, err := ProcessID(dir)
	if err != nil || len(id) < 26 || !isWord(id) {
		t.Fatalf("%q, %v", id, err)
	}
	if again, err := ProcessID(dir); err != nil || again != id {
		t.Errorf("%q, %v; want %q", again, err, id)
	}
	if other, err := ProcessID(t.TempDir()); err != nil || other == id {
		t.Errorf("another directory's: %q, %v", other, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if st, err := os.Stat(filepath.Join(dir, "process-id")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

func TestDamagedIdentity(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "a b", "a\nb\n", "\x00\x00\x00\x00", strings.Repeat("x", 101), "../x"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "process-id"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := ProcessID(dir); err == nil || !strings.Contains(err.Error(), "process-id is damaged: remove it") {
			t.Errorf("%q: %q, %v", text, id, err)
		}
	}
	if _, err := ProcessID(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that is not there")
	}
}

func TestRemember(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		if err := Remember(dir, "0123abcd"); err != nil {
			t.Fatal(err)
		}
	}
	err := Remember(dir, "4567")
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "worked for installation 0123abcd, but kafka.brokers and kafka.topic_prefix lead to 4567") {
		t.Errorf("%v", err)
	}
	if err := Remember(dir, "0123abcd"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
