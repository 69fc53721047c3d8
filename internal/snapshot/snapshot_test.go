package snapshot

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

func open(t *testing.T) blob.Store {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// place is where a snapshot in these tests belongs.
func place(offset int64) stream.Place {
	return stream.Place{Offset: offset, Epoch: int32(offset % 7), Topic: click.TopicID{1, 2, 15: 9}}
}

func save(t *testing.T, k *Keeper, position int64, state string) {
	t.Helper()
	d := k.Draft(position)
	d.Add(func(b []byte) []byte { return append(b, state...) })
	d.End(place(position))
	if err := k.Save(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// newest returns the state that is found, and how many were passed over.
func newest(t *testing.T, k *Keeper) (state string, position int64, skipped int) {
	t.Helper()
	at, found, passed, err := k.Newest(t.Context(), func(b []byte) error { state = string(b); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return "", -1, len(passed)
	}
	if at != place(at.Offset) {
		t.Errorf("kept at %+v, found at %+v", place(at.Offset), at)
	}
	return state, at.Offset, len(passed)
}

func TestNewestOfSeveral(t *testing.T) {
	t.Parallel()
	store := open(t)
	k := NewKeeper(store, "c1", "aggregator/3")
	if state, at, _ := newest(t, k); state != "" || at != -1 {
		t.Fatalf("found %q at %d in an empty store", state, at)
	}
	for _, position := range []int64{5, 10, 100, 1000} {
		save(t, k, position, "state")
	}
	names, err := store.List(t.Context(), "aggregator/3/")
	if err != nil || len(names) != Kept {
		t.Errorf("kept %v, %v", names, err)
	}
	if state, at, skipped := newest(t, k); state != "state" || at != 1000 || skipped != 0 {
		t.Errorf("newest: %q at %d, %d passed over", state, at, skipped)
	}
}

// away is a store that lists and does not answer otherwise.
type away struct{ blob.Store }

func (away) Get(context.Context, string) ([]byte, error) { return nil, blob.ErrUnavailable }

// A store that is away for a moment has not lost its snapshots.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	store := open(t)
	save(t, NewKeeper(store, "c1", "aggregator/3"), 5, "state")
	_, found, _, err := NewKeeper(away{store}, "c1", "aggregator/3").Newest(t.Context(), func([]byte) error { return nil })
	if found || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("found %v, %v", found, err)
	}
}

// Whatever single byte is wrong, and wherever it is torn, the older one is taken.
func TestDamage(t *testing.T) {
	t.Parallel()
	store := open(t)
	k := NewKeeper(store, "c1", "reducer/0")
	save(t, k, 1, "old")
	save(t, k, 2, "new")
	name := k.name(2)
	whole, err := store.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, i int, b []byte) {
		if err := store.Put(t.Context(), name, b); err != nil {
			t.Fatal(err)
		}
		if state, at, skipped := newest(t, k); state != "old" || at != 1 || skipped != 1 {
			t.Fatalf("%s at byte %d: %q at %d, %d passed over", what, i, state, at, skipped)
		}
	}
	for i := range whole {
		try("torn", i, whole[:i])
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		try("flipped", i, flipped)
	}
	try("longer", len(whole), append(bytes.Clone(whole), 0))
}

func TestForeign(t *testing.T) {
	t.Parallel()
	store := open(t)
	mine := NewKeeper(store, "c1", "aggregator/0")
	other := NewKeeper(store, "c2", "aggregator/0")
	save(t, other, 7, "theirs")
	if state, _, skipped := newest(t, mine); state != "" || skipped != 1 {
		t.Errorf("took %q of another installation", state)
	}
}

// A state that the stage refuses is passed over like a damaged one.
func TestRefused(t *testing.T) {
	t.Parallel()
	k := NewKeeper(open(t), "c1", "aggregator/0")
	save(t, k, 1, "good")
	save(t, k, 2, "bad")
	var tried []string
	at, found, skipped, err := k.Newest(t.Context(), func(b []byte) error {
		tried = append(tried, string(b))
		if string(b) == "bad" {
			return errors.New("refused")
		}
		return nil
	})
	if err != nil || !found || at != place(1) || len(skipped) != 1 || !slices.Equal(tried, []string{"bad", "good"}) {
		t.Errorf("at %v, found %v, passed over %v, tried %v, %v", at, found, skipped, tried, err)
	}
}

// The pieces of a draft are one state, whether they were there before it is written
// or come while it is, and more of them than may wait.
func TestPieces(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]blob.Store{"streams": open(t), "whole": struct{ blob.Store }{open(t)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := NewKeeper(store, "c1", "aggregator/3")
			d := k.Draft(7)
			saved := make(chan error)
			go func() { saved <- k.Save(t.Context(), d) }()
			piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			var want []byte
			for i := range 20 {
				piece[0] = byte(i)
				want = append(want, piece...)
				d.Wait()
				d.Add(func(b []byte) []byte { return append(b, piece...) })
			}
			d.End(place(9))
			if err := <-saved; err != nil {
				t.Fatal(err)
			}
			var got string
			at, found, _, err := k.Newest(t.Context(), func(b []byte) error { got = string(b); return nil })
			if err != nil || !found || at != place(9) || got != string(want) {
				t.Errorf("%d bytes at %v, %v, %v; want %d", len(got), at, found, err, len(want))
			}
		})
	}
}

// What was given up is not kept, and who adds to it does not wait for ever.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	store := open(t)
	k := NewKeeper(store, "c1", "aggregator/3")
	save(t, k, 1, "old")
	d := k.Draft(2)
	saved := make(chan error)
	go func() { saved <- k.Save(t.Context(), d) }()
	d.Add(func(b []byte) []byte { return append(b, make([]byte, 2*Ahead)...) })
	d.GiveUp()
	if err := <-saved; !errors.Is(err, errGivenUp) {
		t.Errorf("saved: %v", err)
	}
	d.Wait()
	if state, at, skipped := newest(t, k); state != "old" || at != 1 || skipped != 0 || !d.Room() {
		t.Errorf("%q at %d, %d passed over", state, at, skipped)
	}
}
