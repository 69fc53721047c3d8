package reread

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A value follows its files, one look a second, and stays when they cannot be read.
func TestValue(t *testing.T) {
	t.Parallel()
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, now, now); err != nil { // two writes may fall into one tick of the file system
			t.Fatal(err)
		}
	}
	write(first, "a")
	write(second, "b")
	reads, faults := 0, []error{}
	var away error // of no file
	v, err := New(func() (string, error) {
		reads++
		a, err := os.ReadFile(first)
		b, err2 := os.ReadFile(second)
		return string(a) + string(b), errors.Join(err, err2, away)
	}, func(err error) { faults = append(faults, err) }, func() time.Time { return now }, first, second)
	if err != nil {
		t.Fatal(err)
	}
	step := func(what, want string, wantReads, wantFaults int) {
		t.Helper()
		if got := v.Get(); got != want || reads != wantReads || len(faults) != wantFaults {
			t.Errorf("%s: %q after %d reads and %d faults; want %q, %d, %d", what, got, reads, len(faults), want, wantReads, wantFaults)
		}
	}
	step("read", "ab", 1, 0)
	now = now.Add(10 * pause)
	step("nothing changed", "ab", 1, 0)
	write(second, "c")
	step("the second is not over", "ab", 1, 0)
	now = now.Add(pause)
	step("changed", "ac", 2, 0)
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	now = now.Add(pause)
	step("gone", "ac", 3, 1)
	now = now.Add(pause)
	step("still gone, which is no news", "ac", 4, 1)
	write(first, "x")
	now = now.Add(pause)
	step("back", "xc", 5, 1)
	away = errors.New("too many open files")
	write(first, "y")
	now = now.Add(pause)
	step("cannot be read", "xc", 6, 2)
	now = now.Add(pause)
	step("still not, which is no news", "xc", 7, 2)
	away = errors.New("input/output error")
	now = now.Add(pause)
	step("for another reason", "xc", 8, 3)
	away = nil
	now = now.Add(pause)
	step("can be read again, without a change", "yc", 9, 3)
	now = now.Add(pause)
	step("nothing changed", "yc", 9, 3)
}

func TestFirstReadingFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := New(func() (int, error) { return 0, broken }, nil, time.Now); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
