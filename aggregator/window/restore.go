package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// ErrSnapshot is what Restore's errors wrap: the snapshot is not one of this
// shard, or it is damaged. An older one and the log after it do as well.
var ErrSnapshot = errors.New("snapshot refused")

// totalMax bounds what is counted up by one.
const totalMax = 1 << 62

// Restore makes the shard that a snapshot describes. It refuses a snapshot of
// another shard, of other numbers of shards or reducers, of another window size
// or of a version it does not know, and one that contradicts itself.
func Restore(cfg Config, b []byte) (*Shard, error) {
	r := restoring{s: New(cfg), decoder: decoder{b: b}, windows: map[uint32]*window{}, clicks: map[uint32]int64{}}
	if r.version = r.byte(); r.version < unmaskedVersion || r.version > snapshotVersion {
		return nil, fmt.Errorf("restore: %w: format version %d, this program reads %d to %d", ErrSnapshot, r.version, unmaskedVersion, snapshotVersion)
	}
	for _, f := range [...]struct {
		name string
		want int64
	}{{"shard", int64(cfg.Shard)}, {"shards", int64(cfg.Shards)}, {"reducers", int64(cfg.Reducers)}, {"window size", cfg.Size}} {
		if got := r.int(math.MaxInt64); r.err == nil && got != f.want {
			return nil, fmt.Errorf("restore: %w: it is of %s %d, configured is %d", ErrSnapshot, f.name, got, f.want)
		}
	}
	for r.err == nil && !r.whole {
		r.block()
	}
	if len(r.b) > 0 {
		r.fail("more than a snapshot")
	}
	if r.err != nil {
		return nil, fmt.Errorf("restore: %w: %w", ErrSnapshot, r.err)
	}
	return r.s, nil
}

// restoring is a shard on its way back.
type restoring struct {
	decoder
	s       *Shard
	windows map[uint32]*window // by number, as far as their ads are known; without an index
	clicks  map[uint32]int64   // how many ids there are, by number of their window
	version byte
	whole   bool
}

// block reads the next block.
func (r *restoring) block() {
	switch r.byte() {
	case blockIDs:
		r.restoreIDs()
	case blockAds:
		r.restoreAds()
	case blockAgain:
		r.restoreAgain()
	case blockCells:
		r.restoreCells()
	case blockPassed:
		r.restorePassed()
	case blockEnd:
		r.whole = true
		r.restoreHead()
		r.restoreSources()
		r.restoreWindows()
		r.restorePast()
	default:
		r.fail("a block that cannot be")
	}
}

// restoreIDs puts ids into the table. They mostly come as they lay in one segment,
// which then gets its room at once.
func (r *restoring) restoreIDs() {
	var n uint32
	if b := r.take(4); b != nil {
		n = binary.BigEndian.Uint32(b)
	}
	if int64(n) > int64(len(r.b)/idBytes) {
		r.fail("cut short")
		return
	}
	t := &r.s.ids
	for i, b := 0, r.take(int(n)*idBytes); len(b) > 0; i, b = i+1, b[idBytes:] {
		c := slot{
			hi: binary.BigEndian.Uint64(b), lo: binary.BigEndian.Uint64(b[8:]),
			check: binary.BigEndian.Uint32(b[16:]), window: binary.BigEndian.Uint32(b[20:]),
		}
		h := c.id().Digest()
		if g := t.segment(h); i == 0 && g.taken == 0 {
			t.resize(g, (int(n)*4/3+2*groupSlots)/groupSlots)
		}
		t.insert(h, c)
		r.clicks[c.window]++
	}
}

func (r *restoring) restoreHead() {
	s := r.s
	s.position = r.int(totalMax)
	s.clock, s.watermark, s.emitted = r.time(), r.time(), r.time()
	s.gone, s.forgotten = r.int(windowsMax), r.int(windowsMax)
	s.seed = r.uint64()
	if s.forgotten > s.gone || s.emitted > s.clock {
		r.fail("bounds out of order")
	}
	s.ids.forget(s.forgotten) // and sweep those that went while the snapshot was taken
	if s.said = r.int(totalMax); s.said > s.position {
		r.fail("it spoke before it read")
	}
}

func (r *restoring) restoreSources() {
	s, d := r.s, &r.decoder
	for n := d.count(20); n > 0 && d.err == nil; n-- {
		p, rest, err := click.ParseProgress(d.b)
		if err != nil {
			d.fail(err.Error())
			return
		}
		d.b = rest
		if k := len(s.sources); k > 0 && compareSources(s.sources[k-1].Source, p.Source) >= 0 {
			d.fail("sources out of order")
		}
		src := source{Progress: p, term: d.int(totalMax), closed: d.time(), horizon: d.int(timeMax), expected: int32(d.int(math.MaxInt32)), at: d.time()}
		retired := d.byte()
		if src.retired = retired == 1; retired > 1 {
			d.fail("a source that cannot be")
		}
		s.sources = append(s.sources, src)
	}
}

// restorePast holds the windows against the ids: every click that was counted left
// one. What is left are windows that were let go of and whose ids are still held.
func (r *restoring) restorePast() {
	s := r.s
	held := r.int(totalMax)
	for _, w := range s.windows {
		if r.clicks[w.number] != w.clicks {
			r.fail("a click without its id")
			return
		}
		s.held += w.clicks
		delete(r.clicks, w.number)
	}
	past := make([]*window, 0, len(r.clicks)+len(s.windows))
	for _, number := range slices.Sorted(maps.Keys(r.clicks)) {
		if int64(number) < s.forgotten {
			continue
		}
		if int64(number) >= s.gone {
			r.fail("an id without its click")
			return
		}
		s.held += r.clicks[number]
		past = append(past, &window{number: number, clicks: r.clicks[number], final: true})
	}
	if s.held != held {
		r.fail("ids are missing")
	}
	s.windows = append(past, s.windows...)
}
