package merge

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
)

// key names a window under a filter. Times are in Unix milliseconds.
type key struct {
	start, size int64
	filter      string
}

func (k key) end() int64 { return k.start + k.size }

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.start, o.start), cmp.Compare(k.size, o.size), cmp.Compare(k.filter, o.filter))
}

// The years 0 to 9999, which are those that RFC 3339 can write.
const (
	timeMin = -62167219200000
	timeMax = 253402300799999
)

// valid tells whether it is a window that lies in time as results can write it.
func (k key) valid() bool {
	return k.start >= timeMin && k.start <= timeMax && k.size > 0 && k.size <= timeMax-k.start
}

// window is one window under one filter: what each shard said of it last.
type window struct {
	key
	state    click.State // as the ranking last left; Provisional until it is final
	revision int64
	changed  bool      // the ranking is another than the one that last left
	parts    []part    // of the shards that have clicks in it, in ascending order of shard
	spread   []*shared // ads whose clicks go to several shards, in the order of their bytes
}

// part is what one shard said.
type part struct {
	shard       int32
	clicks, ads int64
	list        []click.Row // the best of the ads that are not spread
	bytes       []byte      // what the list's ads are views of
	shares      []click.Row // of those that are, in the order of their bytes; one of the two lists has a row
	sharesBytes []byte
}

// window finds a window or opens it.
func (r *Reducer) window(k key) *window {
	at, ok := slices.BinarySearchFunc(r.windows, k, func(w *window, k key) int { return w.compare(k) })
	if ok {
		return r.windows[at]
	}
	w := &window{key: k, state: click.Provisional, revision: 1}
	if r.watermark >= k.end() {
		// That it has no clicks was final, in the watermark: its first ranking is a correction.
		w.state = click.Final
	}
	r.windows = slices.Insert(r.windows, at, w)
	return w
}

// take replaces what a shard said of the window.
func (w *window) take(shard int32, said *click.WindowPart) {
	at, ok := slices.BinarySearchFunc(w.parts, shard, func(p part, s int32) int { return cmp.Compare(p.shard, s) })
	if !ok {
		w.parts = slices.Insert(w.parts, at, part{shard: shard})
	}
	p := &w.parts[at]
	if p.clicks != said.Clicks || p.ads != said.Ads {
		p.clicks, p.ads = said.Clicks, said.Ads
		w.changed = true
	}
	w.share(p, said.Shares)
	if !slices.EqualFunc(p.list, said.Top, equalRows) {
		p.list, p.bytes = copyRows(p.list[:0], p.bytes[:0], said.Top)
		w.changed = true
	}
}

// emit lets out every ranking that is due, in the order of the windows, and lets
// go of the windows that cannot change any more.
func (r *Reducer) emit() {
	// Subtracted without sign, so that no two times are too far apart.
	tick := r.clock != click.None &&
		(r.emitted == click.None || uint64(r.clock)-uint64(r.emitted) >= uint64(r.tick))
	ticked := false
	held := r.windows[:0]
	for _, w := range r.windows {
		switch {
		case r.watermark < w.end():
			r.sendShared(w, false)
			if w.changed && tick {
				r.send(w)
				ticked = true
			}
		case w.state == click.Provisional:
			w.state = click.Final
			r.sendShared(w, true)
			r.send(w)
			r.trace(w.start, w.size, w.state, 0)
		case w.changed:
			w.state = click.Corrected
			w.revision++
			r.sendShared(w, false)
			r.send(w)
			r.trace(w.start, w.size, w.state, 0)
		}
		if w.end() > r.gone {
			held = append(held, w)
		}
	}
	clear(r.windows[len(held):])
	r.windows = held
	if ticked {
		r.emitted = r.clock
	}
}

// send appends the window's ranking to the output.
func (r *Reducer) send(w *window) {
	w.changed = false
	k := click.Ranking{
		Start: w.start, Size: w.size, Filter: w.filter,
		State: w.state, Revision: w.revision, Version: r.position,
	}
	for i := range w.parts {
		k.Clicks += w.parts[i].clicks
		k.Ads += w.parts[i].ads
	}
	k.Ads += int64(len(w.spread))
	from := len(r.rows)
	r.rank(w)
	k.Top = r.rows[from:len(r.rows):len(r.rows)]
	r.out.Rankings = append(r.out.Rankings, k)
}

// head is a shard's list on its way into a ranking.
type head struct {
	list  []click.Row // what is left, never empty
	whole bool        // the shard has no ads but those of its list
}

// rank appends the best rows of the window to r.rows. An ad that is not spread is
// counted in one shard only, so the best of all ads are the best of the shards' best
// and of the sums of those that are spread: merging the lists is exact. It stays exact when a
// shard keeps fewer ads than we rank: where such a list ends, the shard's next
// ad is unknown, and so the ranking ends there too.
func (r *Reducer) rank(w *window) {
	heads := r.heads[:0]
	for i := range w.parts {
		if p := &w.parts[i]; len(p.list) > 0 {
			heads = append(heads, head{p.list, p.ads <= int64(len(p.list))})
		}
	}
	if len(w.spread) > 0 {
		heads = append(heads, head{r.rankShared(w), true})
	}
	r.heads = heads
	for i := len(heads)/2 - 1; i >= 0; i-- {
		sink(heads, i)
	}
	for n := int64(0); n < r.top && len(heads) > 0; n++ {
		h := &heads[0]
		r.rows, r.ads = copyRows(r.rows, r.ads, h.list[:1])
		if h.list = h.list[1:]; len(h.list) == 0 {
			if !h.whole {
				return
			}
			heads[0] = heads[len(heads)-1]
			heads = heads[:len(heads)-1]
		}
		sink(heads, 0)
	}
}

// sink moves the list at i down the heap to where it belongs; the list with the
// best row is at the top.
func sink(heads []head, i int) {
	for {
		best := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(heads); c++ {
			if rank.Order(heads[c].list[0], heads[best].list[0]) < 0 {
				best = c
			}
		}
		if best == i {
			return
		}
		heads[i], heads[best] = heads[best], heads[i]
		i = best
	}
}

// ordered tells whether rows are a ranked list.
func ordered(rows []click.Row) bool {
	for i := 1; i < len(rows); i++ {
		if rank.Order(rows[i-1], rows[i]) >= 0 {
			return false
		}
	}
	return true
}

func equalRows(a, b click.Row) bool { return a.Sum() == b.Sum() && bytes.Equal(a.Ad, b.Ad) }

// copyRows appends rows whose ads are views of buf, where it appends their
// bytes. A buf that grows leaves the older views where they are.
func copyRows(into []click.Row, buf []byte, rows []click.Row) ([]click.Row, []byte) {
	for i := range rows {
		from := len(buf)
		buf = append(buf, rows[i].Ad...)
		row := rows[i]
		row.Ad = buf[from:len(buf):len(buf)]
		into = append(into, row)
	}
	return into, buf
}
