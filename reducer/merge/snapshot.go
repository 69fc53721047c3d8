package merge

import (
	"encoding/binary"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

const (
	snapshotVersion   = 6
	undigestedVersion = 5 // without digests
	unheldVersion     = 4 // without a hold either
	unsharedVersion   = 3 // nor shares
)

// AppendSnapshot encodes the state after b; equal states are equal bytes. What
// is due must have been taken with [Reducer.Out] before, or it would be lost.
//
// Layout, version 6, in the terms of package click:
//
//	byte    version = 6
//	uvarint Reducer, Reducers, position
//	time    watermark, gone, clock, time of the last provisional rankings
//	uvarint unranked, passed, number of the hold; if not 0: varint From, To, byte Done
//	uvarint number of shards, each: uvarint Position, time Watermark, Closed,
//	          uvarint number of chunks here of an emission that has begun; if not 0: uvarint Prev, Position
//	uvarint number of sources, each: progress with an empty tally, progress where all shards were
//	          at one offset last, with the time None,
//	          uvarint number of shards, each: uvarint shard, High, counted, duplicate, conflict, crowded, stale
//	uvarint 0, or where the identity broke: index of the source + 1, uvarint High, Offset
//	uvarint number of windows, each: uvarint length + filter, varint Start, uvarint Size,
//	          byte State, uvarint Revision, byte changed,
//	          uvarint number of shards, each: uvarint shard, Clicks, Ads, rows, shares with digests
//
// Versions 3 to 5 are read as well: 5 has no digests, 4 nothing of corrections either, and 3 no shares.
func (r *Reducer) AppendSnapshot(b []byte) []byte {
	if r.pending() {
		panic("merge: snapshot before what is due was taken")
	}
	b = append(b, snapshotVersion)
	b = appendTotals(b, int64(r.cfg.Reducer), int64(r.cfg.Reducers), r.position)
	for _, ms := range [...]int64{r.watermark, r.gone, r.clock, r.emitted} {
		b = click.AppendTime(b, ms)
	}
	b = appendTotals(b, r.unranked, r.passed, r.hold.Number)
	if r.hold.Number > 0 {
		b = click.AppendFlag(binary.AppendVarint(binary.AppendVarint(b, r.hold.From), r.hold.To), r.hold.Done)
	}
	b = appendTotals(b, int64(len(r.shards)))
	for _, s := range r.shards {
		b = click.AppendTime(click.AppendTime(appendTotals(b, s.said), s.watermark), s.closed)
		if b = appendTotals(b, int64(s.next)); s.next > 0 {
			b = appendTotals(b, s.prev, s.position)
		}
	}
	b = r.appendSources(b)
	b = appendTotals(b, int64(len(r.windows)))
	for _, w := range r.windows {
		b = w.append(b)
	}
	return b
}

func appendTotals(b []byte, totals ...int64) []byte {
	for _, v := range totals {
		b = click.AppendTotal(b, v)
	}
	return b
}

func (r *Reducer) appendSources(b []byte) []byte {
	broken := 0
	b = appendTotals(b, int64(len(r.sources)))
	for i, s := range r.sources {
		b = click.AppendProgress(b, &click.Progress{Source: s.name, High: s.high, Watermark: s.watermark, Account: s.account})
		b = click.AppendProgress(b, &s.agreed)
		b = appendTotals(b, int64(len(s.seats)))
		for _, e := range s.seats {
			t := &e.tally
			b = appendTotals(b, int64(e.shard), e.high, t.Counted, t.Duplicate, t.Conflict, t.Crowded, t.Stale)
		}
		if r.broken != nil && r.broken.Source == s.name {
			broken = i + 1
		}
	}
	if broken == 0 {
		return append(b, 0)
	}
	return appendTotals(b, int64(broken), r.broken.High, r.broken.Offset)
}

func (w *window) append(b []byte) []byte {
	b = click.AppendBytes(b, w.filter)
	b = binary.AppendVarint(b, w.start)
	b = appendTotals(b, w.size)
	b = append(b, byte(w.state))
	b = click.AppendFlag(appendTotals(b, w.revision), w.changed)
	b = appendTotals(b, int64(len(w.parts)))
	for i := range w.parts {
		p := &w.parts[i]
		b = click.AppendRows(appendTotals(b, int64(p.shard), p.clicks, p.ads), p.list, false)
		b = click.AppendRows(b, p.shares, true)
	}
	return b
}

// Restore makes the reducer that wrote a snapshot. Folding the log from its
// [Reducer.Position] gives what the writer would have given. The state holds no
// view into b.
//
// An error wraps [click.ErrWire], or says that the snapshot is another
// reducer's; the log can then be read from an older snapshot or from its start.
func Restore(cfg Config, b []byte) (*Reducer, error) {
	d := click.NewDecoder(b)
	version, err := d.Versions(unsharedVersion, snapshotVersion, "reducer snapshot")
	if err != nil {
		return nil, err
	}
	reducer, reducers := d.Total(), d.Total()
	if !d.Bad() && (reducer != int64(cfg.Reducer) || reducers != int64(cfg.Reducers)) {
		return nil, fmt.Errorf("reducer snapshot: it is of reducer %d of %d, this is %d of %d: "+
			"the number of reducers cannot change: set reducer.partitions back",
			reducer, reducers, cfg.Reducer, cfg.Reducers)
	}
	r := New(cfg)
	r.position = d.Total()
	r.watermark, r.gone, r.clock, r.emitted = d.Time(), d.Time(), d.Time(), d.Time()
	r.unranked = d.Total()
	if version > unheldVersion {
		r.decodeHold(&d)
	}
	for range d.Count(4) {
		r.shards = append(r.shards, decodeShard(&d))
	}
	r.decodeSources(&d)
	for range d.Count(10) {
		w := decodeWindow(&d, len(r.shards), version)
		if n := len(r.windows); n > 0 && r.windows[n-1].compare(w.key) >= 0 {
			d.Fail()
		}
		r.windows = append(r.windows, w)
	}
	if err := d.End("reducer snapshot"); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reducer) decodeHold(d *click.Decoder) {
	r.passed, r.hold.Number = d.Total(), d.Total()
	if r.hold.Number == 0 {
		return
	}
	if r.hold.From, r.hold.To, r.hold.Done = d.Int(), d.Int(), d.Flag(); r.hold.From >= r.hold.To {
		d.Fail()
	}
}

func decodeShard(d *click.Decoder) shard {
	s := shard{said: d.Total(), watermark: d.Time(), closed: d.Time()}
	next := d.Uint()
	if next > 1<<30 {
		d.Fail()
	}
	if s.next = int32(next); next > 0 {
		if s.prev, s.position = d.Total(), d.Total(); s.position <= s.said || s.prev > s.said {
			d.Fail()
		}
	}
	return s
}

func (r *Reducer) decodeSources(d *click.Decoder) {
	for range d.Count(60) {
		var g click.Progress
		d.Progress(&g)
		s := &source{name: g.Source, high: g.High, watermark: g.Watermark, account: g.Account}
		d.Progress(&s.agreed)
		if s.agreed.Source != s.name || s.agreed.Watermark != click.None {
			d.Fail()
		}
		if n := len(r.sources); g.Tally != (click.Tally{}) || n > 0 && compareSources(r.sources[n-1].name, s.name) >= 0 {
			d.Fail()
		}
		last := int32(-1)
		for range d.Count(7) {
			e := seat{shard: decodeNumber(d, last, len(r.shards)), high: d.Total()}
			t := &e.tally
			for _, v := range [...]*int64{&t.Counted, &t.Duplicate, &t.Conflict, &t.Crowded, &t.Stale} {
				*v = d.Total()
			}
			s.seats = append(s.seats, e)
			last = e.shard
		}
		r.sources = append(r.sources, s)
	}
	switch i := d.Uint(); {
	case i > uint64(len(r.sources)):
		d.Fail()
	case i > 0:
		r.broken = &Broken{Source: r.sources[i-1].name, High: d.Total(), Offset: d.Total()}
	}
}

func decodeWindow(d *click.Decoder, shards int, version byte) *window {
	w := &window{key: key{filter: d.Text(click.FilterAll), start: d.Int(), size: d.Total()}}
	w.state, w.revision, w.changed = d.State(), d.Total(), d.Flag()
	if !w.valid() {
		d.Fail()
	}
	last := int32(-1)
	var rows []click.Row
	for range d.Count(4) {
		p := part{shard: decodeNumber(d, last, shards), clicks: d.Total(), ads: d.Total()}
		rows = d.Rows(rows, false)
		if !ordered(rows) {
			d.Fail()
		}
		p.list, p.bytes = copyRows(nil, nil, rows)
		if version > unsharedVersion {
			if rows = d.Rows(rows, version > undigestedVersion); !sorted(rows) {
				d.Fail()
			}
			p.shares, p.sharesBytes = copyRows(nil, nil, rows)
			w.add(rows)
		}
		if len(p.list) == 0 && len(p.shares) == 0 {
			d.Fail()
		}
		w.parts = append(w.parts, p)
		last = p.shard
	}
	for _, s := range w.spread {
		s.said = true
	}
	return w
}

// decodeNumber reads the number of a shard that follows last.
func decodeNumber(d *click.Decoder, last int32, shards int) int32 {
	n := d.Uint()
	if n >= uint64(shards) || int64(n) <= int64(last) {
		d.Fail()
		return last
	}
	return int32(n)
}
