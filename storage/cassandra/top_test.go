package cassandra

import (
	"bytes"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

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
		var got top
		if got.UnmarshalCQL(nil, b) != nil {
			return
		}
		again, err := got.MarshalCQL(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x became %x, %v", b, again, err)
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
	var got top
	if err := got.UnmarshalCQL(nil, b); err != nil {
		t.Fatal(err)
	}
	clear(b) // the driver's buffer is used again
	if !slices.EqualFunc(got, want, func(a, b click.Row) bool { return bytes.Equal(a.Ad, b.Ad) && a.Count == b.Count }) {
		t.Errorf("%v, want %v", got, want)
	}
}
