package cassandra

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

func sameRow(a, b click.Row) bool { return bytes.Equal(a.Ad, b.Ad) && a.Count == b.Count }

func FuzzTop(f *testing.F) {
	for _, t := range []top{{}, {{Ad: []byte("a"), Count: 7}}, {{Ad: nil, Count: 1 << 62}, {Ad: []byte("日本"), Count: -1}}} {
		b, err := t.MarshalCQL(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		got := first{most: math.MaxInt}
		if got.UnmarshalCQL(nil, b) != nil {
			return
		}
		again, err := top(got.rows).MarshalCQL(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x became %x, %v", b, again, err)
		}
		for most := range len(got.rows) + 1 {
			some := first{most: most}
			if err := some.UnmarshalCQL(nil, b); err != nil || !slices.EqualFunc(some.rows, got.rows[:most], sameRow) {
				t.Errorf("the first %d of %x are %v, %v", most, b, some.rows, err)
			}
		}
	})
}

func TestTopIsItsOwn(t *testing.T) {
	t.Parallel()
	want := top{{Ad: []byte("ab"), Count: 3}, {Ad: []byte("c"), Count: 2}}
	b, err := want.MarshalCQL(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := first{most: 2}
	if err := got.UnmarshalCQL(nil, b); err != nil {
		t.Fatal(err)
	}
	clear(b) // the driver's buffer is used again
	if !slices.EqualFunc(got.rows, want, sameRow) {
		t.Errorf("%v, want %v", got.rows, want)
	}
}
