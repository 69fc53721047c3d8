package embedded_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

func open(t testing.TB, dir string, opts embedded.Options) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// contract holds the store to every promise of [storage.Store], and to those of
// one that answers from one moment.
func contract(t *testing.T, open storagetest.Open) {
	storagetest.Run(t, open)
	storagetest.RunMoment(t, open)
}

func TestContract(t *testing.T) {
	t.Parallel()
	contract(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		dir := t.TempDir()
		s := open(t, dir, embedded.Options{})
		return s, func() storage.Store {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = open(t, dir, embedded.Options{})
			return s
		}
	})
}

// TestContractTwofold holds to the contract what other tests take for a store that keeps counts twice.
func TestContractTwofold(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		dirs := []string{t.TempDir(), t.TempDir()}
		again := func() storage.Store {
			return &storagetest.Twofold{Store: open(t, dirs[0], embedded.Options{}), ByAd: open(t, dirs[1], embedded.Options{})}
		}
		s := again()
		return s, func() storage.Store {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = again()
			return s
		}
	})
}

// TestContractAfterCrash never closes a store before it opens it again: it opens
// a copy of the files as they are when Apply has returned.
func TestContractAfterCrash(t *testing.T) {
	t.Parallel()
	contract(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		dir := t.TempDir()
		return open(t, dir, embedded.Options{}), func() storage.Store {
			dir = clone(t, dir)
			return open(t, dir, embedded.Options{})
		}
	})
}

// TestContractWithLittleMemory makes the engine flush and compact all the time.
func TestContractWithLittleMemory(t *testing.T) {
	t.Parallel()
	contract(t, func(t *testing.T) (storage.Store, func() storage.Store) {
		dir, opts := t.TempDir(), embedded.Options{CacheBytes: 64 << 10, MemTableBytes: 16 << 10}
		s := open(t, dir, opts)
		return s, func() storage.Store {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = open(t, dir, opts)
			return s
		}
	})
}

// clone copies a directory as it is at one moment: it tries again when the
// engine's background work changed it meanwhile.
func clone(t *testing.T, dir string) string {
	t.Helper()
	for range 100 {
		to, before := t.TempDir(), listing(t, dir)
		err := os.CopyFS(to, os.DirFS(dir))
		if err == nil && listing(t, dir) == before {
			return to
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Fatal("the directory does not come to rest")
	return ""
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		i, err := f.Info()
		if err != nil {
			return "changing"
		}
		fmt.Fprintln(&out, f.Name(), i.Size(), i.ModTime())
	}
	return out.String()
}

func row(ad string, start, count, version int64) click.Result {
	return click.Result{
		Ad: []byte(ad), Start: start, Size: 60_000, Filter: click.FilterAll,
		Count: count, Revision: 1, State: click.Final, Version: version,
	}
}

func fill(t testing.TB, s *embedded.Store, rows int, version int64) {
	t.Helper()
	var b storage.Batch
	for i := range rows {
		b.Results = append(b.Results, row(fmt.Sprintf("ad-%06d", i), 0, int64(i+1), version))
	}
	if err := s.Apply(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

func openError(t *testing.T, dir string, want ...string) {
	t.Helper()
	s, err := embedded.Open(dir, embedded.Options{})
	if err == nil {
		_ = s.Close()
		t.Fatalf("opened; want %q", want)
	}
	for _, w := range append(want, dir) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nsays nothing of %q", err, w)
		}
	}
}

func TestOpenRefusesASecondUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, embedded.Options{})
	openError(t, dir, "in use by another process")

	// Another process, which knows nothing of ours.
	if os.Getenv("CLICKAGG_TEST_DIR") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenInAnotherProcess$", "-test.v")
		cmd.Env = append(os.Environ(), "CLICKAGG_TEST_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestOpenInAnotherProcess(t *testing.T) {
	dir := os.Getenv("CLICKAGG_TEST_DIR")
	if dir == "" {
		t.Skip("run by TestOpenRefusesASecondUser")
	}
	openError(t, dir, "in use by another process")
}

func TestOpenRefusesAForeignFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir, embedded.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	embedded.SetFormat(t, dir, "3")
	openError(t, dir, `format "3"`, `reads "2"`)
}

// A store of the release before digests is opened, and is one of this release from then on.
func TestOpenTakesAnOlderFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir, embedded.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	embedded.SetFormat(t, dir, "1")
	if err := open(t, dir, embedded.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	if got := embedded.Format(t, dir); got != "2" {
		t.Errorf("format %q", got)
	}
}

func TestOpenRefusesAForeignStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{Logger: embedded.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("k"), []byte("v"), nil), db.Close()); err != nil {
		t.Fatal(err)
	}
	openError(t, dir, "merger")
}

func TestOpenRefusesRowsWithoutTheirList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, embedded.Options{MemTableBytes: 64 << 10})
	fill(t, s, 10_000, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lists, _ := filepath.Glob(filepath.Join(dir, "marker.manifest.*"))
	if len(lists) == 0 {
		t.Fatal("the engine keeps its list elsewhere now")
	}
	for _, f := range lists {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	openError(t, dir, "damaged", "backup")
}

// TestDamageIsAnError flips bits of every kind of file after a crash. Whatever is
// hit, the answer is the right one or an error.
func TestDamageIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, embedded.Options{MemTableBytes: 256 << 10})
	fill(t, s, 5_000, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A store that was just opened begins a log of its own: what follows stays there, and
	// nothing old lies behind it, in which damage would do no harm.
	s = open(t, dir, embedded.Options{MemTableBytes: 256 << 10})
	for version := range int64(20) {
		fill(t, s, 50, version+2)
	}
	want := digest(t, s, nil)
	dir = clone(t, dir)
	files := map[string][]string{}
	for _, kind := range []string{"*.sst", "*.log", "MANIFEST-*"} {
		found, err := filepath.Glob(filepath.Join(dir, kind))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", kind, err)
		}
		files[kind] = found
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for kind, found := range files {
		noticed := 0
		for range 12 {
			broken := clone(t, dir)
			flip(t, rng, filepath.Join(broken, filepath.Base(found[len(found)-1])))
			s, err := embedded.Open(broken, embedded.Options{})
			if err != nil {
				noticed++
				continue
			}
			if got := digest(t, s, &err); err == nil && !bytes.Equal(got, want) {
				t.Errorf("%s: a wrong answer and no error", kind)
			}
			if err != nil {
				noticed++
				if !strings.Contains(err.Error(), "damaged") {
					t.Errorf("%s: %v", kind, err)
				}
			}
			_ = s.Close()
		}
		if noticed == 0 && kind != "MANIFEST-*" {
			t.Errorf("%s: no damage was noticed", kind)
		}
	}
}

func flip(t *testing.T, rng *rand.Rand, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(b, "\x00"))
	if filepath.Ext(file) == ".log" {
		used = used / 4 * 3 // damage at its end looks like a write cut short
	}
	b[rng.IntN(used)] ^= 1 << rng.IntN(8)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// digest is everything a scan finds. Without a place for the error it must not fail.
func digest(t *testing.T, s *embedded.Store, failed *error) []byte {
	t.Helper()
	var out []byte
	err := s.Scan(t.Context(), click.FilterAll, 0, 1, func(c *storage.Cell) error {
		out = fmt.Appendf(out, "%s %d %d %d\n", c.Ad, c.Count, c.Version, c.State)
		return nil
	})
	if failed == nil && err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		*failed = err
	}
	return out
}

func TestFullDiskIsUnavailable(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), embedded.Options{ReserveBytes: 1 << 62})
	err := s.Apply(t.Context(), &storage.Batch{Results: []click.Result{row("a", 0, 1, 1)}})
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "make room") {
		t.Error(err)
	}
}

func TestCountLeapsOverYearsWithoutAWindow(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), embedded.Options{})
	const first, last = -60_000 * 1e12, 60_000 * 1e12
	b := storage.Batch{Results: []click.Result{row("a", first, 1, 1), row("b", 0, 2, 1), row("a", last, 3, 1)}}
	if err := s.Apply(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	cells, err := s.Count(t.Context(), click.FilterAll, []byte("a"), -1<<63, 1<<63-1)
	if err != nil || len(cells) != 2 || cells[0].Start != first || cells[1].Start != last {
		t.Errorf("%+v, %v", cells, err)
	}
}
