package click

import (
	"encoding/binary"
	"fmt"
)

// Partial is one record of the partials topic: what a shard says of its windows,
// as values so far and never as increments. A shard numbers its partials to each
// reducer from 1 without gaps, so that a reducer drops what it has seen and
// proves that it misses none.
//
// An emission that is too large for one record is several partials; only the
// last one carries the watermark and the sources, so that a window is never
// called complete before its counts are there.
//
// Layout, version 1:
//
//	byte    version = 1
//	uvarint Shard, Shards, Seq, Position
//	time    At
//	byte    Last (0 or 1); if 1: time Watermark, uvarint n, n sources:
//	          source, uvarint High, time Watermark, account,
//	          uvarint counted, duplicate, conflict, crowded, stale
//	uvarint number of windows, each:
//	  uvarint length + filter, varint Start, uvarint Size, byte State, uvarint Revision, Clicks, Ads,
//	  uvarint number of rows, each uvarint length + ad, uvarint count
//	  uvarint number of top rows, the same
type Partial struct {
	Shard, Shards int32
	Seq           int64 // number of this partial among those of Shard to this reducer, from 1
	Position      int64 // the shard's next shuffle offset when it said this
	At            int64 // the shard's clock, which is the newest section's At
	Last          bool  // the last partial of an emission
	Watermark     int64 // of the shard; None while a source has none
	Sources       []Progress
	Windows       []WindowPart
}

// Progress is how far a shard is with one source.
type Progress struct {
	Source    Source
	High      int64 // the next offset the shard expects
	Watermark int64
	Account   Account // the mapper's, at High
	Tally     Tally   // the shard's, at High
}

// WindowPart is what one shard says of one window and filter.
type WindowPart struct {
	Filter   string
	Start    int64 // Unix ms
	Size     int64 // ms
	State    State
	Revision int64
	Clicks   int64 // all clicks of the shard in this window
	Ads      int64 // distinct ads of the shard in this window
	Rows     []Row // the ads whose count is news; in the order of their bytes
	Top      []Row // the shard's ranked list: greater count first, then ad by bytes
}

const partialVersion = 1

func appendRows(b []byte, rows []Row) []byte {
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for i := range rows {
		b = appendBytes(b, rows[i].Ad)
		b = appendTotal(b, rows[i].Count)
	}
	return b
}

func (d *decoder) rows(into []Row) []Row {
	n := d.count(2)
	into = into[:0]
	for range n {
		ad := d.bytes()
		into = append(into, Row{Ad: ad, Count: d.total()})
		if d.bad {
			return nil
		}
	}
	return into
}

// Append encodes the partial after b.
func (p *Partial) Append(b []byte) []byte {
	b = append(b, partialVersion)
	for _, v := range [...]int64{int64(p.Shard), int64(p.Shards), p.Seq, p.Position} {
		b = appendTotal(b, v)
	}
	b = appendTime(b, p.At)
	if p.Last {
		b = appendTime(append(b, 1), p.Watermark)
		b = binary.AppendUvarint(b, uint64(len(p.Sources)))
		for i := range p.Sources {
			b = AppendProgress(b, &p.Sources[i])
		}
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Windows)))
	for i := range p.Windows {
		w := &p.Windows[i]
		b = appendBytes(b, w.Filter)
		b = binary.AppendVarint(b, w.Start)
		b = appendTotal(b, w.Size)
		b = append(b, byte(w.State))
		for _, v := range [...]int64{w.Revision, w.Clicks, w.Ads} {
			b = appendTotal(b, v)
		}
		b = appendRows(b, w.Rows)
		b = appendRows(b, w.Top)
	}
	return b
}

// AppendProgress encodes one source's progress; snapshots use it too.
func AppendProgress(b []byte, g *Progress) []byte {
	b = appendSource(b, g.Source)
	b = appendTotal(b, g.High)
	b = appendTime(b, g.Watermark)
	b = AppendAccount(b, &g.Account)
	for _, v := range [...]int64{g.Tally.Counted, g.Tally.Duplicate, g.Tally.Conflict, g.Tally.Crowded, g.Tally.Stale} {
		b = appendTotal(b, v)
	}
	return b
}

// ParseProgress reads what [AppendProgress] wrote and returns what follows it.
func ParseProgress(b []byte) (Progress, []byte, error) {
	d := decoder{b: b}
	g := d.progress()
	if d.bad {
		return Progress{}, nil, fmt.Errorf("progress: %w", ErrWire)
	}
	return g, d.b, nil
}

func (d *decoder) progress() (g Progress) {
	g.Source = d.source()
	g.High = d.total()
	g.Watermark = d.time()
	g.Account = d.account()
	for _, v := range [...]*int64{&g.Tally.Counted, &g.Tally.Duplicate, &g.Tally.Conflict, &g.Tally.Crowded, &g.Tally.Stale} {
		*v = d.total()
	}
	return g
}

// Parse decodes a partials record into p and reuses p's slices. Ads stay views into b.
func (p *Partial) Parse(b []byte) error {
	d := decoder{b: b}
	if err := d.version(partialVersion, "partial"); err != nil {
		return err
	}
	sources, windows := p.Sources[:0], p.Windows[:0]
	*p = Partial{Watermark: None}
	shard, shards := d.uint(), d.uint()
	if shard >= shards || shards > 1<<20 {
		d.fail()
	}
	p.Shard, p.Shards = int32(shard), int32(shards)
	p.Seq, p.Position = d.total(), d.total()
	p.At = d.time()
	last := d.byte()
	if last > 1 {
		d.fail()
	}
	if p.Last = last == 1; p.Last {
		p.Watermark = d.time()
		for range d.count(20) {
			sources = append(sources, d.progress())
		}
	}
	for range d.count(8) {
		if len(windows) < cap(windows) {
			windows = windows[:len(windows)+1]
		} else {
			windows = append(windows, WindowPart{})
		}
		d.window(&windows[len(windows)-1])
	}
	p.Sources, p.Windows = sources, windows
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("partial: %w", ErrWire)
	}
	return nil
}

func (d *decoder) window(w *WindowPart) {
	w.Filter = FilterAll
	if f := d.bytes(); string(f) != FilterAll {
		w.Filter = string(f)
	}
	w.Start = d.int()
	w.Size = d.total()
	w.State = State(d.byte())
	if w.State < Provisional || w.State > Corrected {
		d.fail()
	}
	w.Revision, w.Clicks, w.Ads = d.total(), d.total(), d.total()
	w.Rows = d.rows(w.Rows)
	w.Top = d.rows(w.Top)
}
