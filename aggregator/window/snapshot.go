package window

import (
	"encoding/binary"

	"github.com/clickagg/clickagg/internal/click"
)

// A snapshot holds everything a shard knows at one position of its log. It is taken
// in pieces, with Folds between them, so that counting never waits for more than a
// piece; see [Snapshot] for why it is of one position all the same. In which order
// ids and blocks stand has no meaning.
//
// Layout, version 5 (uvarints unless said otherwise; "time" is a byte 0 for
// none, or a byte 1 and a varint of Unix ms):
//
//	byte version = 5
//	Shard, Shards, Reducers, Size
//	blocks, each a byte that says what it is, and
//	  ids:     4 bytes n, big endian, n ids: 8 bytes hi, 8 bytes lo, 4 bytes check, 4 bytes window, big endian
//	  ads:     number of a window, n further ads of it in the order they came: length + ad, count, digest
//	  clicks:  number of a window, n places of ads above, each with the digest of one more click of it
//	  cells:   number of a window, n further cells of it in the order they came: place of the ad, number of the set, mask, count, digest
//	  passed:  number of a window, n places of cells above, likewise
//	the block end:
//	  position; time clock, watermark, emitted
//	  gone, forgotten; 8 bytes seed
//	  said, the position at the last emission
//	  n sources in order, each as click.AppendProgress writes it, then
//	    term; time closed; horizon, expected; time at; byte retired
//	  n windows whose counts are kept, ascending: number, flags (1 final, 2 changed), revision,
//	    how many ads, n places of those that changed since they were last said,
//	    n places of those that are spread, in the order of their bytes,
//	    n sets of filters, as click.AppendFilters writes them, how many cells, n places of those that changed
//	  how many ids
//
// A digest is 8 bytes, big endian. Version 4, which is read as well, has none, and version 3 knows
// of no sets and cells.
//
// Blocks may hold ids of windows below forgotten and ads of windows below gone,
// which were let go of while the snapshot was taken: they are passed over.
const (
	snapshotVersion   = 5
	undigestedVersion = 4
	unmaskedVersion   = 3
)

// The blocks.
const (
	blockEnd = iota
	blockIDs
	blockAds
	blockAgain
	blockCells
	blockPassed
)

// idBytes is what one id takes, here and in memory.
const idBytes = 24

const (
	flagFinal   = 1
	flagChanged = 2
)

// Snapshot is a snapshot of a shard being taken. The ids go into it one segment of
// the table after the other, the ads and cells of each window from the first to the last. What
// is counted meanwhile is either in what is still to be taken, or it is noted and
// added: so when the last piece is taken, the pieces together are the state at
// that moment, and nothing was copied or held still.
type Snapshot struct {
	s       *Shard
	begun   bool
	segment int      // ids of the segments below it are taken
	ids     []slot   // counted since, in segments that are taken
	windows []*taken // whose ads are taken, all or some
}

// taken is how far a window is taken.
type taken struct {
	window *window
	ads    int     // the first ones, which are taken
	again  []since // those of them that were clicked since
	cells  int     // likewise
	passed []since
}

// since is a click of what is taken.
type since struct {
	place  uint32
	digest uint64
}

// Snapshot begins a snapshot. One that was begun before is given up.
func (s *Shard) Snapshot() *Snapshot {
	s.taking = &Snapshot{s: s}
	return s.taking
}

// AppendSnapshot encodes the shard's whole state after b, and changes nothing of it.
// A snapshot that is being taken is given up.
func (s *Shard) AppendSnapshot(b []byte) []byte {
	for t := s.Snapshot(); ; {
		var whole bool
		if b, whole = t.Append(b, 1<<20); whole {
			return b
		}
	}
}

// Append encodes the next piece after b: somewhat more than size bytes, and what was
// noted since the last piece. It returns true with the last one, and is not called again. The
// snapshot is then of the shard's position at this moment. A partial that Out has
// not handed over is not in it.
func (t *Snapshot) Append(b []byte, size int) (_ []byte, whole bool) {
	if t.s.taking != t {
		panic("window: a piece of a snapshot that was given up or is whole")
	}
	if !t.begun {
		t.begun = true
		c := &t.s.cfg
		b = append(b, snapshotVersion)
		for _, v := range [...]int64{int64(c.Shard), int64(c.Shards), int64(c.Reducers), c.Size} {
			b = binary.AppendUvarint(b, uint64(v))
		}
	}
	b = t.appendSince(b)
	end := len(b) + size // or a busy shard's clicks since would be all there is room for
	for ; t.segment < len(t.s.ids.segments); t.segment++ {
		if len(b) >= end {
			return b, false
		}
		b = t.s.ids.segments[t.segment].append(b, t.s.forgotten)
	}
	for _, w := range t.s.live() {
		k := t.of(w)
		if b = k.appendAds(b, end); len(b) < end {
			b = k.appendCells(b, end)
		}
		if len(b) >= end {
			return b, false
		}
	}
	t.s.taking = nil
	return t.s.appendEnd(append(b, blockEnd)), true
}

// counted notes a click in what is taken already: its id, the place of its ad, and that of its
// cell, -1 when it passed no filter. It is called for each click that is counted while
// a snapshot is taken.
func (t *Snapshot) counted(hash uint64, c slot, w *window, ad, cell int) {
	if int(hash>>(64-segmentBits)) < t.segment {
		t.ids = append(t.ids, c)
	}
	for _, k := range t.windows {
		if k.window != w {
			continue
		}
		if ad < k.ads {
			k.again = append(k.again, since{uint32(ad), hash})
		}
		if cell >= 0 && cell < k.cells {
			k.passed = append(k.passed, since{uint32(cell), hash})
		}
		return
	}
}

// appendSince adds what was noted since the last piece.
func (t *Snapshot) appendSince(b []byte) []byte {
	b = appendIDs(b, t.ids)
	t.ids = t.ids[:0]
	for _, k := range t.windows {
		b = k.appendClicks(b, blockAgain, k.again)
		b = k.appendClicks(b, blockPassed, k.passed)
		k.again, k.passed = k.again[:0], k.passed[:0]
	}
	return b
}

// appendClicks adds a block of clicks, if there is one.
func (k *taken) appendClicks(b []byte, block byte, clicks []since) []byte {
	if len(clicks) == 0 {
		return b
	}
	b = binary.AppendUvarint(append(b, block), uint64(k.window.number))
	b = binary.AppendUvarint(b, uint64(len(clicks)))
	for _, c := range clicks {
		b = binary.AppendUvarint(b, uint64(c.place))
		b = binary.BigEndian.AppendUint64(b, c.digest)
	}
	return b
}

// of returns how far a window is taken.
func (t *Snapshot) of(w *window) *taken {
	for _, k := range t.windows {
		if k.window == w {
			return k
		}
	}
	t.windows = append(t.windows, &taken{window: w})
	return t.windows[len(t.windows)-1]
}

// blockMost is how many ads or cells a block has at most.
const blockMost = 1000

// appendAds adds ads that are not taken yet, until there are end bytes.
func (k *taken) appendAds(b []byte, end int) []byte {
	ads := &k.window.ads
	for k.ads < len(ads.entries) && len(b) < end {
		n := min(blockMost, len(ads.entries)-k.ads)
		b = binary.AppendUvarint(append(b, blockAds), uint64(k.window.number))
		b = binary.AppendUvarint(b, uint64(n))
		for i := k.ads; i < k.ads+n; i++ {
			e := &ads.entries[i]
			b = binary.AppendUvarint(b, uint64(e.length))
			b = append(b, ads.ad(e)...)
			b = appendSum(b, e.Sum)
		}
		k.ads += n
	}
	return b
}

// appendCells does so with cells, whose ads are all taken.
func (k *taken) appendCells(b []byte, end int) []byte {
	cells := k.window.masked.cells
	for k.cells < len(cells) && len(b) < end {
		n := min(blockMost, len(cells)-k.cells)
		b = binary.AppendUvarint(append(b, blockCells), uint64(k.window.number))
		b = binary.AppendUvarint(b, uint64(n))
		for i := k.cells; i < k.cells+n; i++ {
			c := &cells[i]
			b = binary.AppendUvarint(b, uint64(c.place))
			b = binary.AppendUvarint(b, uint64(c.set))
			b = binary.AppendUvarint(b, c.mask)
			b = appendSum(b, c.Sum)
		}
		k.cells += n
	}
	return b
}

func appendSum(b []byte, s click.Sum) []byte {
	return binary.BigEndian.AppendUint64(binary.AppendUvarint(b, uint64(s.Count)), s.Digest)
}

// appendEnd adds what is small.
func (s *Shard) appendEnd(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.position))
	for _, ms := range [...]int64{s.clock, s.watermark, s.emitted} {
		b = appendTime(b, ms)
	}
	b = binary.AppendUvarint(b, uint64(s.gone))
	b = binary.AppendUvarint(b, uint64(s.forgotten))
	b = binary.BigEndian.AppendUint64(b, s.seed)
	b = binary.AppendUvarint(b, uint64(s.said))
	b = binary.AppendUvarint(b, uint64(len(s.sources)))
	for i := range s.sources {
		b = s.sources[i].append(b)
	}
	live := s.live()
	b = binary.AppendUvarint(b, uint64(len(live)))
	for _, w := range live {
		b = w.append(b)
	}
	return binary.AppendUvarint(b, uint64(s.held))
}

func (s *source) append(b []byte) []byte {
	b = click.AppendProgress(b, &s.Progress)
	b = binary.AppendUvarint(b, uint64(s.term))
	b = appendTime(b, s.closed)
	b = binary.AppendUvarint(b, uint64(s.horizon))
	b = binary.AppendUvarint(b, uint64(s.expected))
	return click.AppendFlag(appendTime(b, s.at), s.retired)
}

func appendTime(b []byte, ms int64) []byte {
	if ms == click.None {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), ms)
}

func (w *window) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(w.number))
	flags := byte(0)
	if w.final {
		flags |= flagFinal
	}
	if w.changed {
		flags |= flagChanged
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(w.revision))
	b = binary.AppendUvarint(b, uint64(len(w.ads.entries)))
	b = appendChanged(b, len(w.ads.entries), w.changed, func(i int) bool { return w.ads.entries[i].changed })
	b = binary.AppendUvarint(b, uint64(len(w.shares)))
	for _, place := range w.shares {
		b = binary.AppendUvarint(b, uint64(place))
	}
	b = binary.AppendUvarint(b, uint64(len(w.masked.sets)))
	for _, s := range w.masked.sets {
		b = click.AppendFilters(b, s.filters)
	}
	b = binary.AppendUvarint(b, uint64(len(w.masked.cells)))
	return appendChanged(b, len(w.masked.cells), w.changed, func(i int) bool { return w.masked.cells[i].changed })
}

// appendChanged adds the places, of so many, that changed; none did when the window did not.
func appendChanged(b []byte, places int, any bool, changed func(i int) bool) []byte {
	n := 0
	for i := 0; any && i < places; i++ {
		if changed(i) {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i := 0; n > 0; i++ {
		if changed(i) {
			b = binary.AppendUvarint(b, uint64(i))
			n--
		}
	}
	return b
}

// append adds the segment's ids of windows from a number on.
func (g *segment) append(b []byte, forgotten int64) []byte {
	if g.taken == 0 {
		return b
	}
	b = append(b, blockIDs)
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	n := uint32(0)
	for j, tags := range g.tags {
		for m := occupied(tags); m != 0; m &= m - 1 {
			if c := &g.slots[j*groupSlots+first(m)]; int64(c.window) >= forgotten {
				b = c.append(b)
				n++
			}
		}
	}
	binary.BigEndian.PutUint32(b[at:], n)
	return b
}

func appendIDs(b []byte, ids []slot) []byte {
	if len(ids) == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint32(append(b, blockIDs), uint32(len(ids)))
	for i := range ids {
		b = ids[i].append(b)
	}
	return b
}

func (c *slot) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, c.hi)
	b = binary.BigEndian.AppendUint64(b, c.lo)
	b = binary.BigEndian.AppendUint32(b, c.check)
	return binary.BigEndian.AppendUint32(b, c.window)
}
