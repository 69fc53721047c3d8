package board

import (
	"slices"
	"sync"
	"testing"
)

func TestBoard(t *testing.T) {
	t.Parallel()
	var b Board[int]
	if v := b.Values(); len(v) != 0 {
		t.Fatalf("an empty board says %v", v)
	}
	first, silent, second := b.Slot(), b.Slot(), b.Slot()
	_ = silent
	one, two, three := 1, 2, 3
	second.Put(&two)
	first.Put(&one)
	if v := b.Values(); len(v) != 2 || *v[0] != 1 || *v[1] != 2 {
		t.Fatalf("%v", v)
	}
	first.Put(&three)
	if v := b.Values(); *v[0] != 3 {
		t.Errorf("%d after it was replaced by 3", *v[0])
	}
	first.Drop()
	if v := b.Values(); len(v) != 1 || *v[0] != 2 {
		t.Errorf("%v after the first part ended", v)
	}
}

// Parts that start at once all get a place.
func TestSlotsAtOnce(t *testing.T) {
	t.Parallel()
	var b Board[int]
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { b.Slot().Put(&i) })
	}
	for range 100 { // others come and go meanwhile
		wg.Go(func() { b.Slot().Drop() })
	}
	wg.Wait()
	var got []int
	for _, v := range b.Values() {
		got = append(got, *v)
	}
	slices.Sort(got)
	for i := range 100 {
		if got[i] != i {
			t.Fatalf("%v", got)
		}
	}
}
