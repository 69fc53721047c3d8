package window

import (
	"math"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// window reads of which window a block is. What is made for it has no index yet.
func (r *restoring) window() *window {
	number := uint32(r.int(windowsMax - 1))
	w := r.windows[number]
	if w == nil {
		w = &window{number: number}
		r.windows[number] = w
	}
	return w
}

// sum reads a number of clicks and their digest.
func (r *restoring) sum() click.Sum {
	return click.Sum{Count: r.int(totalMax), Digest: r.digest()}
}

// digest reads a digest: it is unknown in what earlier releases wrote.
func (r *restoring) digest() uint64 {
	if r.version <= undigestedVersion {
		return 0
	}
	return r.uint64()
}

// click reads one more click.
func (r *restoring) click() click.Sum { return click.Sum{Count: 1, Digest: r.digest()} }

// restoreAds reads further ads of a window.
func (r *restoring) restoreAds() {
	w := r.window()
	for n := r.count(2); n > 0 && r.err == nil; n-- {
		ad := r.take(int(r.int(adMax)))
		sum := r.sum()
		if sum.Count == 0 || len(w.ads.arena)+len(ad) > math.MaxUint32 {
			r.fail("an ad that cannot be")
			return
		}
		w.ads.entries = append(w.ads.entries, entry{at: uint32(len(w.ads.arena)), length: uint16(len(ad)), Sum: sum})
		w.ads.arena = append(w.ads.arena, ad...)
	}
}

// restoreAgain adds clicks to ads that are known.
func (r *restoring) restoreAgain() {
	w := r.window()
	r.places(len(w.ads.entries), "a click of no ad", func(i int64) { w.ads.entries[i].Add(r.click()) })
}

// restoreCells reads further cells of a window. Whether they can be is seen at the end.
func (r *restoring) restoreCells() {
	w := r.window()
	for n := r.count(4); n > 0 && r.err == nil; n-- {
		c := cell{place: uint32(r.int(math.MaxUint32)), set: uint16(r.int(setsMost)), mask: r.uint(), Sum: r.sum()}
		if c.Count == 0 || c.mask == 0 {
			r.fail("a cell that cannot be")
			return
		}
		w.masked.cells = append(w.masked.cells, c)
	}
}

// restorePassed adds clicks to cells that are known.
func (r *restoring) restorePassed() {
	w := r.window()
	r.places(len(w.masked.cells), "a click of no cell", func(i int64) { w.masked.cells[i].Add(r.click()) })
}

// places reads a list of places, of so many.
func (r *restoring) places(of int, fault string, take func(i int64)) {
	for n := r.count(1); n > 0 && r.err == nil; n-- {
		place := r.int(math.MaxUint32)
		if place >= int64(of) {
			r.fail(fault)
			return
		}
		take(place)
	}
}

// changed reads the places, of so many, that changed since they were last said.
func (r *restoring) changed(w *window, of int, take func(i int64)) {
	if !w.changed {
		of = 0
	}
	r.places(of, "something that cannot have changed", take)
}

// restoreShares reads which ads of a window are spread.
func (r *restoring) restoreShares(w *window) {
	for n := r.count(1); n > 0 && r.err == nil; n-- {
		place := r.int(math.MaxUint32)
		if place >= int64(len(w.ads.entries)) || w.ads.entries[place].share {
			r.fail("an ad that cannot be spread")
			return
		}
		w.share(uint32(place))
	}
}

func (r *restoring) restoreWindows() {
	next := r.s.gone
	for n := r.count(6); n > 0 && r.err == nil; n-- {
		number := r.int(windowsMax - 1)
		if number < next {
			r.fail("windows out of order")
			return
		}
		next = number + 1
		w := r.windows[uint32(number)]
		if w == nil {
			r.fail("a window without its ads")
			return
		}
		flags := r.byte()
		w.final, w.changed = flags&flagFinal != 0, flags&flagChanged != 0
		w.revision = r.int(totalMax)
		if ads := r.int(math.MaxUint32); flags > flagFinal|flagChanged || ads == 0 || ads != int64(len(w.ads.entries)) {
			r.fail("a window that cannot be")
			return
		}
		r.changed(w, len(w.ads.entries), func(i int64) { w.ads.entries[i].changed = true })
		r.restoreShares(w)
		if !w.ads.reindex(r.s.seed) {
			r.fail("an ad twice")
			return
		}
		if r.version > unmaskedVersion {
			r.restoreMasked(w)
		}
		for i := range w.ads.entries {
			w.clicks += w.ads.entries[i].Count
		}
		r.s.windows = append(r.s.windows, w)
	}
}

// restoreMasked reads what the masks of a window's cells stand for, and holds the cells
// against it and against the ads.
func (r *restoring) restoreMasked(w *window) {
	m := &w.masked
	for n := r.count(3); n > 0 && r.err == nil; n-- {
		filters, rest, err := click.ParseFilters(r.b)
		if err != nil {
			r.fail(err.Error())
			return
		}
		r.b = rest
		s := intern(append(r.s.windows, w), filters)
		if slices.Contains(m.sets, s) || len(m.sets) == setsMost {
			r.fail("a set of filters twice")
			return
		}
		m.sets = append(m.sets, s)
	}
	if cells := r.int(math.MaxUint32); cells != int64(len(m.cells)) {
		r.fail("cells are missing")
		return
	}
	r.changed(w, len(m.cells), func(i int64) { m.cells[i].changed = true })
	passed := map[uint32]int64{}
	for i := range m.cells {
		c := &m.cells[i]
		passed[c.place] += c.Count
		switch {
		case int64(c.place) >= int64(len(w.ads.entries)) || passed[c.place] > w.ads.entries[c.place].Count:
			r.fail("a cell without its clicks")
			return
		case int(c.set) >= len(m.sets) || c.mask>>(len(m.sets[c.set].filters)-1)>>1 != 0:
			r.fail("a mask of no filters")
			return
		}
	}
	if !m.reindex(func(place uint32) uint64 { return click.HashAd(w.ads.ad(&w.ads.entries[place]), r.s.seed) }) {
		r.fail("a cell twice")
	}
}
