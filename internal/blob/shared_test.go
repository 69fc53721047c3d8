package blob

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// An opener must not take what another process writes for what a crash left.
func TestOpenLeavesTheLivingAlone(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	d.fill = func(f *os.File, data io.Reader) error {
		open(t, path)
		return fillFile(f, data)
	}
	if err := d.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Get(t.Context(), "a"); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// share is what each of several processes does with one directory: it opens it,
// replaces a blob that all of them write, and keeps and deletes its own.
func share(ctx context.Context, path, who string) error {
	for i := range 25 {
		d, err := OpenDir(path)
		if err != nil {
			return err
		}
		data := bytes.Repeat([]byte(who), 1000+i)
		own := fmt.Sprintf("own/%s/%d", who, i)
		if err := errors.Join(d.Put(ctx, "all", data), d.Put(ctx, own, data)); err != nil {
			return err
		}
		got, err := d.Get(ctx, "all")
		if err != nil || len(got) == 0 || strings.Trim(string(got), string(got[:1])) != "" {
			return fmt.Errorf("a mixture: %.40q, %w", got, err)
		}
		names, err := d.List(ctx, "own/"+who+"/")
		if err != nil || len(names) != 1 || names[0] != own {
			return fmt.Errorf("%s has %q, %w", who, names, err)
		}
		if err := d.Delete(ctx, own); err != nil {
			return err
		}
	}
	return nil
}

func TestGoroutinesShareADirectory(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	var all sync.WaitGroup
	for _, who := range []string{"a", "b", "c"} {
		all.Go(func() {
			if err := share(t.Context(), path, who); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := files(t, path); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
}

// sharedDir is where a child of TestProcessesShareADirectory works, and as whom.
const sharedDir = "CLICKAGG_TEST_SHARED_DIR"

func TestProcessesShareADirectory(t *testing.T) {
	if at := os.Getenv(sharedDir); at != "" {
		who, path, _ := strings.Cut(at, ":")
		// All begin at once: the parent says when.
		fmt.Println("ready")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := share(t.Context(), path, who); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Parallel()
	path := t.TempDir()
	var begin []func()
	var all sync.WaitGroup
	for _, who := range []string{"a", "b"} {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessesShareADirectory$")
		c.Env = append(os.Environ(), sharedDir+"="+who+":"+path)
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewReader(out)
		if line, err := said.ReadString('\n'); line != "ready\n" {
			t.Fatalf("%q, %v", line, err)
		}
		begin = append(begin, func() { fmt.Fprintln(in) })
		all.Go(func() {
			var rest bytes.Buffer
			_, _ = rest.ReadFrom(said)
			if err := c.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", who, err, &rest)
			}
		})
	}
	for _, b := range begin {
		b()
	}
	all.Wait()
	if got := files(t, path); len(got) != 1 || got[0] != "all" {
		t.Errorf("left: %q", got)
	}
}

// A file left by a process that died without a word is known by its lost lock.
func TestKilledWriterIsRemovedAtOpen(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	f, err := d.create()
	if err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if got := files(t, path); len(got) != 1 {
		t.Fatalf("while it is written: %q", got)
	}
	if err := f.Close(); err != nil { // as the kernel does for the dead
		t.Fatal(err)
	}
	open(t, path)
	if _, err := os.Stat(filepath.Join(path, filepath.Base(f.Name()))); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
