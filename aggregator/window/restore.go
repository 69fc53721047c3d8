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
	s := New(cfg)
	d := decoder{b: b}
	if v := d.byte(); v != snapshotVersion {
		return nil, fmt.Errorf("restore: %w: format version %d, this program reads %d", ErrSnapshot, v, snapshotVersion)
	}
	for _, f := range [...]struct {
		name string
		want int64
	}{{"shard", int64(cfg.Shard)}, {"shards", int64(cfg.Shards)}, {"reducers", int64(cfg.Reducers)}, {"window size", cfg.Size}} {
		if got := d.int(math.MaxInt64); d.err == nil && got != f.want {
			return nil, fmt.Errorf("restore: %w: it is of %s %d, configured is %d", ErrSnapshot, f.name, got, f.want)
		}
	}
	s.restoreHead(&d)
	s.restoreSources(&d)
	s.restoreWindows(&d)
	s.restoreIDs(&d)
	if len(d.b) > 0 {
		d.fail("more than a snapshot")
	}
	if d.err != nil {
		return nil, fmt.Errorf("restore: %w: %w", ErrSnapshot, d.err)
	}
	return s, nil
}

func (s *Shard) restoreHead(d *decoder) {
	s.position = d.int(totalMax)
	s.clock, s.watermark, s.emitted = d.time(), d.time(), d.time()
	s.gone, s.forgotten = d.int(windowsMax), d.int(windowsMax)
	for _, c := range d.take(8) {
		s.seed = s.seed<<8 | uint64(c)
	}
	if s.forgotten > s.gone || s.emitted > s.clock {
		d.fail("bounds out of order")
	}
	s.ids.forgotten = s.forgotten
	if s.said = d.int(totalMax); s.said > s.position {
		d.fail("it spoke before it read")
	}
}

func (s *Shard) restoreSources(d *decoder) {
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

func (s *Shard) restoreWindows(d *decoder) {
	next := s.gone
	// Each window has an ad, each ad a click, and each click its id further on.
	for n := d.count(idBytes); n > 0 && d.err == nil; n-- {
		number := d.int(windowsMax - 1)
		if number < next {
			d.fail("windows out of order")
			return
		}
		next = number + 1
		w := &window{number: uint32(number)}
		flags := d.byte()
		w.final, w.changed = flags&flagFinal != 0, flags&flagChanged != 0
		w.revision = d.int(totalMax)
		if w.restoreAds(d, s.seed); flags > flagFinal|flagChanged || w.clicks == 0 {
			d.fail("a window that cannot be")
		}
		s.windows = append(s.windows, w)
	}
}

func (w *window) restoreAds(d *decoder, seed uint64) {
	for n := d.count(idBytes); n > 0 && d.err == nil; n-- {
		ad := d.take(int(d.int(adMax)))
		v := d.int(2*int64(len(d.b)/idBytes) + 1)
		h := click.HashAd(ad, seed)
		if v>>1 == 0 || w.ads.find(h, ad) != nil {
			d.fail("an ad that cannot be")
			return
		}
		e := w.ads.insert(h, ad)
		e.count, e.changed = v>>1, v&1 != 0
		w.clicks += e.count
	}
}

// restoreIDs takes in the ids and holds the windows against them: every click
// that was counted left one.
func (s *Shard) restoreIDs(d *decoder) {
	b := d.take(d.count(idBytes) * idBytes)
	s.held = int64(len(b) / idBytes)
	clicks := map[uint32]int64{}
	var last slot
	segment := -1
	for ; len(b) > 0; b = b[idBytes:] {
		c := slot{
			hi: binary.BigEndian.Uint64(b), lo: binary.BigEndian.Uint64(b[8:]),
			check: binary.BigEndian.Uint32(b[16:]), window: binary.BigEndian.Uint32(b[20:]),
		}
		h := hashID(click.ID{Hi: c.hi, Lo: c.lo})
		at := int(h >> (64 - segmentBits))
		if at < segment || at == segment && compareSlots(last, c) >= 0 || int64(c.window) < s.forgotten {
			d.fail("ids out of order")
			return
		}
		segment, last = at, c
		s.ids.insert(h, c)
		clicks[c.window]++
	}
	for _, w := range s.windows {
		if clicks[w.number] != w.clicks {
			d.fail("a click without its id")
			return
		}
		delete(clicks, w.number)
	}
	// What is left are windows that were let go of and whose ids are still held.
	past := make([]*window, 0, len(clicks)+len(s.windows))
	for _, number := range slices.Sorted(maps.Keys(clicks)) {
		if int64(number) >= s.gone {
			d.fail("an id without its click")
			return
		}
		past = append(past, &window{number: number, clicks: clicks[number], final: true})
	}
	s.windows = append(past, s.windows...)
}

// decoder walks a snapshot and remembers its first fault; after one it reads zeroes.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = errors.New(what)
	}
	d.b = nil
}

// take returns the next n bytes, or none when there are fewer.
func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("cut short")
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

// int reads a uvarint up to a limit.
func (d *decoder) int(limit int64) int64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > uint64(limit) {
		d.fail("a number out of range")
		return 0
	}
	d.b = d.b[n:]
	return int64(v)
}

// count reads the length of a list whose items take at least size bytes each,
// and refuses one that the rest cannot hold: damage allocates nothing.
func (d *decoder) count(size int) int { return int(d.int(int64(len(d.b) / size))) }

func (d *decoder) time() int64 {
	if d.byte() == 0 {
		return click.None
	}
	ms, n := binary.Varint(d.b)
	if n <= 0 || ms < -timeMax || ms > timeMax {
		d.fail("a time out of range")
		return click.None
	}
	d.b = d.b[n:]
	return ms
}
