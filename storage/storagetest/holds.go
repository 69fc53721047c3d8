package storagetest

import (
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

func (f *fixture) wantHeld(want storage.Held, when string) {
	f.t.Helper()
	marks, err := f.store.Marks(f.t.Context())
	if got := storage.HeldBy(marks); err != nil || got != want {
		f.t.Fatalf("%s: held is %+v, %v, want %+v", when, got, err, want)
	}
}

func testHolds(_ *testing.T, f *fixture) {
	said := func(partition int32, watermark int64, h click.Hold) storage.Mark {
		m := said(partition, 2, 0, 1, watermark)
		m.Hold = h
		return m
	}
	first := click.Hold{Number: 1, From: -size, To: size}
	ended := first
	ended.Done = true
	second := click.Hold{Number: 2, From: 5 * size, To: 6 * size}
	f.mark(said(0, 500, click.Hold{}), said(1, 500, click.Hold{}))
	f.wantHeld(storage.Held{}, "without a correction")
	f.mark(said(0, 500, first))
	f.wantHeld(storage.Held{From: -size, To: size, Newest: 1}, "a hold has begun in one partition")
	f.mark(said(1, 500, first), said(0, 700, click.Hold{}))
	f.wantHeld(storage.Held{From: -size, To: size, Newest: 1}, "a mark that says nothing of holds takes none back")
	f.wantComplete(500, "the mark of a hold is one as others")
	f.mark(said(0, 700, ended), said(1, 700, first), said(1, 700, ended))
	f.wantHeld(storage.Held{Newest: 1}, "it has ended")
	f.mark(said(0, 700, first), said(1, 800, first))
	f.wantHeld(storage.Held{Newest: 1}, "what is stored again opens nothing")
	f.mark(said(0, 700, second), said(0, 700, ended))
	f.wantHeld(storage.Held{From: 5 * size, To: 6 * size, Newest: 2}, "the next has begun")
	f.store = f.reopen()
	f.wantHeld(storage.Held{From: 5 * size, To: 6 * size, Newest: 2}, "after a restart")
}
