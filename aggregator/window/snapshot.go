package window

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// A snapshot holds everything a shard knows, in an order that the log alone
// decides: two shards of one log have equal snapshots, however their tables lie
// in memory.
//
// Layout, version 2 (uvarints unless said otherwise; "time" is a byte 0 for
// none, or a byte 1 and a varint of Unix ms):
//
//	byte version = 2
//	Shard, Shards, Reducers, Size
//	position; time clock, watermark, emitted
//	gone, forgotten; 8 bytes seed
//	said, the position at the last emission
//	n sources in order, each as click.AppendProgress writes it, then
//	  term; time closed; horizon, expected; time at; byte retired
//	n windows whose counts are kept, ascending: number, flags (1 final, 2 changed), revision,
//	  n ads in the order they came: length + ad, count·2 + changed
//	n ids, by segment and then by value: 8 bytes hi, 8 bytes lo, 4 bytes check, 4 bytes window, big endian
const snapshotVersion = 2

// idBytes is what one id takes, here and in memory.
const idBytes = 24

const (
	flagFinal   = 1
	flagChanged = 2
)

// AppendSnapshot encodes the shard's state after b. It changes nothing.
func (s *Shard) AppendSnapshot(b []byte) []byte {
	b = append(b, snapshotVersion)
	for _, v := range [...]int64{
		int64(s.cfg.Shard), int64(s.cfg.Shards), int64(s.cfg.Reducers), s.cfg.Size, s.position,
	} {
		b = binary.AppendUvarint(b, uint64(v))
	}
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
	b = binary.AppendUvarint(b, uint64(s.held))
	return s.ids.append(slices.Grow(b, int(s.held)*idBytes))
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
	for i := range w.ads.entries {
		e := &w.ads.entries[i]
		b = binary.AppendUvarint(b, uint64(e.length))
		b = append(b, w.ads.ad(e)...)
		v := uint64(e.count) << 1
		if e.changed {
			v |= 1
		}
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func (t *ids) append(b []byte) []byte {
	var ordered []slot
	for i := range t.segments {
		ordered = ordered[:0]
		g := &t.segments[i]
		for j, tags := range g.tags {
			for m := occupied(tags); m != 0; m &= m - 1 {
				if c := &g.slots[j*groupSlots+first(m)]; int64(c.window) >= t.forgotten {
					ordered = append(ordered, *c)
				}
			}
		}
		slices.SortFunc(ordered, compareSlots)
		for j := range ordered {
			b = ordered[j].append(b)
		}
	}
	return b
}

func (c *slot) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, c.hi)
	b = binary.BigEndian.AppendUint64(b, c.lo)
	b = binary.BigEndian.AppendUint32(b, c.check)
	return binary.BigEndian.AppendUint32(b, c.window)
}

func compareSlots(a, b slot) int {
	if a.hi != b.hi {
		if a.hi < b.hi {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(a.window, b.window))
}
