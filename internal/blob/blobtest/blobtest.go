package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/clickagg/clickagg/internal/blob"
)

// Run holds an implementation to the promises of [blob.Store], and of [blob.Ranger]. open
// returns a store without blobs; it is called once for each promise.
func Run(t *testing.T, open func(t *testing.T) blob.Ranger) {
	RunPlain(t, open)
	t.Run("a name may begin another", func(t *testing.T) {
		t.Parallel()
		nestedNames(t, open(t))
	})
}

// RunPlain is Run of a store in which no name may begin another one, up to a slash.
func RunPlain(t *testing.T, open func(t *testing.T) blob.Ranger) {
	for name, promise := range map[string]func(t *testing.T, s blob.Ranger){
		"a blob that was put is got":              putGet,
		"what was never put is not found":         notFound,
		"a blob is replaced as a whole":           replaced,
		"an empty blob is a blob":                 empty,
		"bytes are not shared":                    unshared,
		"names are listed in order":               listed,
		"a part of a blob is read":                ranges,
		"a deleted blob is gone":                  deleted,
		"what is no name is refused":              badNames,
		"an ended context begins nothing":         ended,
		"a reader sees the old bytes or the new":  wholeUnderWriters,
		"writers of different blobs do not clash": manyWriters,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			promise(t, open(t))
		})
	}
}

func ranges(t *testing.T, s blob.Ranger) {
	data := []byte("0123456789")
	put(t, s, "a/b", data)
	for _, r := range [][2]int{{0, 10}, {0, 1}, {3, 9}, {9, 10}, {4, 4}} {
		p := make([]byte, r[1]-r[0])
		if err := s.GetRange(t.Context(), "a/b", int64(r[0]), p); err != nil || !bytes.Equal(p, data[r[0]:r[1]]) {
			t.Errorf("bytes %v: %q, %v", r, p, err)
		}
	}
	for _, at := range []int64{1, 9, 10, 1000} {
		if err := s.GetRange(t.Context(), "a/b", at, make([]byte, 10)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ten bytes from %d: %v", at, err)
		}
	}
	if err := s.GetRange(t.Context(), "a/c", 0, make([]byte, 1)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a part of nothing: %v", err)
	}
	if err := s.GetRange(t.Context(), "a//c", 0, make([]byte, 1)); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a part of what is no name: %v", err)
	}
}

func put(t *testing.T, s blob.Store, name string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, data); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func wantBlob(t *testing.T, s blob.Store, name string, want []byte) {
	t.Helper()
	if got, err := s.Get(t.Context(), name); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("get %s: %.40q, %v; want %.40q", name, got, err, want)
	}
}

func wantNone(t *testing.T, s blob.Store, name string) {
	t.Helper()
	if got, err := s.Get(t.Context(), name); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("get %s: %.40q, %v; want %v", name, got, err, blob.ErrNotFound)
	}
}

func wantNames(t *testing.T, s blob.Store, prefix string, want ...string) {
	t.Helper()
	if got, err := s.List(t.Context(), prefix); err != nil || !slices.Equal(got, want) {
		t.Fatalf("list %q: %q, %v; want %q", prefix, got, err, want)
	}
}

func putGet(t *testing.T, s blob.Ranger) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	long := bytes.Repeat(every, 1<<12)
	put(t, s, "every", every)
	put(t, s, "long", long)
	longest := strings.Repeat("n", blob.MaxName)
	put(t, s, longest, []byte("x"))
	wantBlob(t, s, "every", every)
	wantBlob(t, s, "long", long)
	wantBlob(t, s, longest, []byte("x"))
}

func notFound(t *testing.T, s blob.Ranger) {
	wantNone(t, s, "a")
	wantNames(t, s, "")
	put(t, s, "a/b", nil)
	wantNone(t, s, "a")
	wantNone(t, s, "a/b/c")
}

func replaced(t *testing.T, s blob.Ranger) {
	put(t, s, "a", []byte("a long first version"))
	put(t, s, "a", []byte("short"))
	wantBlob(t, s, "a", []byte("short"))
	wantNames(t, s, "", "a")
}

func empty(t *testing.T, s blob.Ranger) {
	put(t, s, "nothing", nil)
	put(t, s, "none", []byte{})
	wantBlob(t, s, "nothing", nil)
	wantBlob(t, s, "none", nil)
	wantNames(t, s, "", "none", "nothing")
}

func unshared(t *testing.T, s blob.Ranger) {
	data := []byte("abc")
	put(t, s, "a", data)
	data[0] = 'X'
	got, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	got[1] = 'Y'
	wantBlob(t, s, "a", []byte("abc"))
}

func listed(t *testing.T, s blob.Ranger) {
	for _, name := range []string{"b/10", "b/9", "a", "b/1", "ba", "B", "b.x", "b-x", "b=x", "b_x", ".hidden"} {
		put(t, s, name, nil)
	}
	wantNames(t, s, "", ".hidden", "B", "a", "b-x", "b.x", "b/1", "b/10", "b/9", "b=x", "b_x", "ba")
	wantNames(t, s, "b/", "b/1", "b/10", "b/9")
	wantNames(t, s, "b/1", "b/1", "b/10")
	wantNames(t, s, "c")
	wantNames(t, s, "../")
}

func nestedNames(t *testing.T, s blob.Ranger) {
	for _, name := range []string{"a/b/c", "a", "a/b"} {
		put(t, s, name, []byte(name))
	}
	if err := s.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	wantBlob(t, s, "a", []byte("a"))
	wantBlob(t, s, "a/b/c", []byte("a/b/c"))
	wantNames(t, s, "a", "a", "a/b/c")
}

func deleted(t *testing.T, s blob.Ranger) {
	put(t, s, "a", []byte("1"))
	put(t, s, "b", []byte("2"))
	for range 2 { // the second time there is nothing to delete
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	wantNone(t, s, "a")
	wantNames(t, s, "", "b")
	put(t, s, "a", []byte("3"))
	wantBlob(t, s, "a", []byte("3"))
}

func badNames(t *testing.T, s blob.Ranger) {
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a b", "a\x00", "a\\b", "é", "\xff",
		"a+b", "~a", "a:b", "a\n", strings.Repeat("n", blob.MaxName+1),
	} {
		if err := s.Put(t.Context(), name, []byte("x")); err == nil {
			t.Errorf("put %q is taken", name)
		}
		if _, err := s.Get(t.Context(), name); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("get %q: %v; want it refused", name, err)
		}
		if err := s.Delete(t.Context(), name); err == nil {
			t.Errorf("delete %q is taken", name)
		}
	}
	wantNames(t, s, "")
}

func ended(t *testing.T, s blob.Ranger) {
	put(t, s, "a", []byte("1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := s.Get(ctx, "a")
	_, listErr := s.List(ctx, "")
	for verb, err := range map[string]error{
		"put": s.Put(ctx, "a", []byte("2")), "get": getErr, "list": listErr, "delete": s.Delete(ctx, "a"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", verb, err, context.Canceled)
		}
	}
	wantBlob(t, s, "a", []byte("1"))
}

func wholeUnderWriters(t *testing.T, s blob.Ranger) {
	version := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1000+100*i) }
	put(t, s, "a", version(0))
	var writers, reader sync.WaitGroup
	done := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			for i := range 5 {
				if err := s.Put(t.Context(), "a", version(5*w+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	reader.Go(func() {
		for {
			got, err := s.Get(t.Context(), "a")
			if err != nil || len(got) == 0 || !bytes.Equal(got, version(int(got[0]))) {
				t.Errorf("a mixture: %.20q of %d bytes, %v", got, len(got), err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(done)
	reader.Wait()
	wantNames(t, s, "", "a")
}

func manyWriters(t *testing.T, s blob.Ranger) {
	var writers sync.WaitGroup
	name := func(w, i int) string { return fmt.Sprintf("%d/%d", w, i) }
	for w := range 4 {
		writers.Go(func() {
			for i := range 4 {
				if err := s.Put(t.Context(), name(w, i), []byte(name(w, i))); err != nil {
					t.Error(err)
				}
				if i%2 == 1 {
					if err := s.Delete(t.Context(), name(w, i-1)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	wantNames(t, s, "", "0/1", "0/3", "1/1", "1/3", "2/1", "2/3", "3/1", "3/3")
	wantBlob(t, s, "2/3", []byte("2/3"))
}
