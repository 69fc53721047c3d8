package embedded_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/embedded"
	"github.com/clickagg/clickagg/storage/storagetest"
)

func TestRawContract(t *testing.T) {
	t.Parallel()
	storagetest.RunRaw(t, func(t *testing.T) (storage.RawStore, func() storage.RawStore, func() error) {
		dir := t.TempDir()
		s := open(t, dir, embedded.Options{})
		return s.Raw(), func() storage.RawStore {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = open(t, dir, embedded.Options{})
			return s.Raw()
		}, func() error { return s.Close() }
	})
}

// TestRawExpires: what was appended before a time goes, whatever was stored when,
// and in each source by itself.
func TestRawExpires(t *testing.T) {
	t.Parallel()
	raw := open(t, t.TempDir(), embedded.Options{}).Raw()
	sources := []click.Source{{Topic: "a"}, {Topic: "a", Partition: 1}, {Topic: "b"}}
	appended := map[click.Source][]int64{
		sources[0]: {100, 100, 200, 200, 300}, // an offset apart each
		sources[1]: {50, 60, 70},
		sources[2]: {400},
	}
	for s, times := range appended {
		for i, at := range times {
			if err := raw.Put(t.Context(), s, []click.Record{{Offset: int64(10 + 3*i), Append: at}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func(s click.Source) (out []int64) {
		err := raw.Read(t.Context(), s, 0, 1000, func(r *click.Record) error {
			out = append(out, r.Append)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, before := range []int64{0, 50, 100, 101, 200, 301, 500} {
		if err := raw.Expire(t.Context(), before, nil); err != nil {
			t.Fatal(err)
		}
		for s, times := range appended {
			want := slices.DeleteFunc(slices.Clone(times), func(at int64) bool { return at < before })
			if got := left(s); !slices.Equal(got, want) {
				t.Errorf("before %d: %v has %v, want %v", before, s, got, want)
			}
		}
	}
	if got, err := raw.Sources(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("sources without records: %v, %v", got, err)
	}
}

// TestRawKeeps: what has to be archived first stays, however old it is.
func TestRawKeeps(t *testing.T) {
	t.Parallel()
	raw := open(t, t.TempDir(), embedded.Options{}).Raw()
	s := click.Source{Topic: "a"}
	for offset := int64(10); offset < 20; offset++ {
		if err := raw.Put(t.Context(), s, []click.Record{{Offset: offset, Append: offset}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ before, keep, first int64 }{{100, 0, 10}, {100, 10, 10}, {15, 12, 12}, {14, 18, 14}, {100, 19, 19}} {
		if err := raw.Expire(t.Context(), c.before, func(click.Source) int64 { return c.keep }); err != nil {
			t.Fatal(err)
		}
		first := int64(-1)
		_ = raw.Read(t.Context(), s, 0, 1000, func(r *click.Record) error { first = r.Offset; return errors.New("enough") })
		if first != c.first {
			t.Errorf("before %d, all from %d on kept: the first is %d, want %d", c.before, c.keep, first, c.first)
		}
	}
}
