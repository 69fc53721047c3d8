package blob

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func files(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "er")
	if err := open(t, path).Put(t.Context(), "shard/3", []byte("x")); err != nil {
		t.Fatal(err)
	}
	got, err := open(t, path).Get(t.Context(), "shard/3")
	if err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// A crash between the first byte and the rename leaves a part of a file.
func TestTornFilesAreRemovedAtOpen(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := open(t, path).Put(t.Context(), "a", []byte("whole")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{unborn + "123", unborn} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("hal"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, path)
	if got := files(t, path); !slices.Equal(got, []string{"a"}) {
		t.Errorf("left: %q", got)
	}
	if got, err := d.Get(t.Context(), "a"); err != nil || string(got) != "whole" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFullDiskChangesNothing(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	if err := d.Put(t.Context(), "a", []byte("old")); err != nil {
		t.Fatal(err)
	}
	d.fill = func(f *os.File, data io.Reader) error {
		_, err := io.CopyN(f, data, 2)
		return errors.Join(err, syscall.ENOSPC)
	}
	for _, name := range []string{"a", "b"} {
		err := d.Put(t.Context(), name, []byte("new bytes"))
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "put blob "+name+": ") {
			t.Errorf("put %s: %v", name, err)
		}
	}
	if got := files(t, path); !slices.Equal(got, []string{"a"}) {
		t.Errorf("left: %q", got)
	}
	if got, err := d.Get(t.Context(), "a"); err != nil || string(got) != "old" {
		t.Errorf("%q, %v; want the old bytes", got, err)
	}
}

// Nothing is renamed into place before its bytes are durable.
func TestBytesComeBeforeTheName(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	d.fill = func(f *os.File, data io.Reader) error {
		if names, err := d.List(t.Context(), ""); err != nil || len(names) > 0 {
			t.Errorf("seen while written: %q, %v", names, err)
		}
		return fillFile(f, data)
	}
	if err := d.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
}

// Programs that read a directory of tables pass over what begins with an underscore, and fail at
// a part of a file.
func TestOthersPassOverWhatIsWritten(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d, err := OpenTree(path)
	if err != nil {
		t.Fatal(err)
	}
	d.fill = func(f *os.File, data io.Reader) error {
		if name := filepath.Base(f.Name()); !strings.HasPrefix(name, "_") || CheckName(name) == nil {
			t.Errorf("%q is being written", name)
		}
		return fillFile(f, data)
	}
	if err := d.Put(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, d.unborn+"123"), []byte("hal"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTree(path); err != nil {
		t.Fatal(err)
	}
	if got := files(t, path); !slices.Equal(got, []string{"a"}) {
		t.Errorf("left: %q", got)
	}
}

func TestStrangersAreLeftAlone(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := os.MkdirAll(filepath.Join(path, "lost", "found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "not a blob"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, path)
	if got, err := d.List(t.Context(), ""); err != nil || len(got) > 0 {
		t.Errorf("listed: %q, %v", got, err)
	}
	if _, err := d.Get(t.Context(), "lost"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a directory is got: %v", err)
	}
	if got := files(t, path); len(got) != 2 {
		t.Errorf("left: %q", got)
	}
}

func TestHugeFileIsNotTakenIntoMemory(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	file := filepath.Join(path, "a")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, MaxBytes+1); err != nil {
		t.Skipf("needs a file system with sparse files: %v", err)
	}
	if _, err := d.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("got %v", err)
	}
}

func TestOpenWhereAFileIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(path); err == nil {
		t.Error("opened")
	}
}
