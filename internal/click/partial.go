package click

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Partial is one record of the partials topic: what a shard says of its windows,
// as values so far and never as increments. Like a section it names its origin:
// it says all that is news between two positions of the shard's log. So a reducer
// drops what it has seen and proves that it misses nothing. At which positions a
// shard speaks is a function of its log, so all who run it speak at the same.
//
// An emission that is too large for one record is several partials, its chunks;
// only the last one carries the watermark and the sources, so that a window is
// never called complete before its counts are there. Chunks are numbered, so that
// a reducer misses none. A window with more rows than one record holds is a part
// of several; only its last part has the ranked list and the shares, and the parts before it
// carry rows and nothing else that counts.
//
// A reducer has no rules of its own either: how long a list is, how often one is
// published and when a window is let go of stand in the partial.
//
// Layout, version 2:
//
//	byte    version = 2
//	uvarint Shard, Shards, Prev, Position, Chunk
//	time    At
//	uvarint Top, Tick
//	byte    Last (0 or 1); if 1: time Watermark, Closed, uvarint n, n sources:
//	          source, uvarint High, time Watermark, account,
//	          uvarint counted, duplicate, conflict, crowded, stale
//	uvarint number of windows, each:
//	  uvarint length + filter, varint Start, uvarint Size, byte State, uvarint Revision, Clicks, Ads,
//	  uvarint number of rows, each uvarint length + ad, uvarint count
//	  uvarint number of top rows, the same
//
// In version 3 each window ends with a uvarint number of shares, the same, and some window has one.
// Version 4 is as version 3, but each count of a row and of a share is followed by 8 bytes of digest,
// big endian, and some row or share has one that is known; shares there may be none.
type Partial struct {
	Shard, Shards int32
	Prev          int64 // the shard's Position when it spoke last; 0 when it never did
	Position      int64 // the shard's next shuffle offset when it said this; above Prev
	Chunk         int32 // its number within the emission, from 0
	At            int64 // the shard's clock, which is the newest section's At
	Top           int64 // length of the ranked lists
	Tick          int64 // ms of the clock between two emissions
	Last          bool  // the last partial of an emission
	Watermark     int64 // of the shard; None while a source has none
	// Closed is the end of the newest window that the shard has let go of: it says
	// nothing more of windows that end at or before it. None when there is none.
	Closed  int64
	Sources []Progress
	Windows []WindowPart
}

// ReducerOf is which of some reducers has a window: its number is its start divided by its size.
func ReducerOf(number int64, reducers int32) int32 { return int32(number % int64(reducers)) }

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
	Clicks   int64 // all clicks of the shard in this window, shares too
	Ads      int64 // distinct ads of the shard in this window, but for those it has a share of
	Rows     []Row // the ads whose count is news, but for shares; in the order of their bytes
	Top      []Row // the shard's ranked list, but for shares: greater count first, then ad by bytes
	Shares   []Row // all ads of which this shard has a share of the clicks, in the order of their bytes
}

const (
	partialVersion       = 2
	partialSharesVersion = 3 // with shares
	partialDigestVersion = 4 // with digests
)

// AppendRows encodes a list of ads and counts, with their digests or without. Read it with
// [Decoder.Rows].
func AppendRows(b []byte, rows []Row, digests bool) []byte {
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for i := range rows {
		b = AppendBytes(b, rows[i].Ad)
		b = AppendTotal(b, rows[i].Count)
		if digests {
			b = binary.BigEndian.AppendUint64(b, rows[i].Digest)
		}
	}
	return b
}

// version is the least one that can say it.
func (p *Partial) version() byte {
	version := byte(partialVersion)
	for i := range p.Windows {
		w := &p.Windows[i]
		if slices.ContainsFunc(w.Rows, digested) || slices.ContainsFunc(w.Shares, digested) {
			return partialDigestVersion
		}
		if len(w.Shares) > 0 {
			version = partialSharesVersion
		}
	}
	return version
}

func digested(r Row) bool { return r.Digest != 0 }

// Append encodes the partial after b.
func (p *Partial) Append(b []byte) []byte {
	version := p.version()
	digests := version == partialDigestVersion
	b = append(b, version)
	for _, v := range [...]int64{int64(p.Shard), int64(p.Shards), p.Prev, p.Position, int64(p.Chunk)} {
		b = AppendTotal(b, v)
	}
	b = AppendTime(b, p.At)
	b = AppendTotal(AppendTotal(b, p.Top), p.Tick)
	b = AppendFlag(b, p.Last)
	if p.Last {
		b = AppendTime(AppendTime(b, p.Watermark), p.Closed)
		b = binary.AppendUvarint(b, uint64(len(p.Sources)))
		for i := range p.Sources {
			b = AppendProgress(b, &p.Sources[i])
		}
	}
	b = binary.AppendUvarint(b, uint64(len(p.Windows)))
	for i := range p.Windows {
		w := &p.Windows[i]
		b = AppendBytes(b, w.Filter)
		b = binary.AppendVarint(b, w.Start)
		b = AppendTotal(b, w.Size)
		b = append(b, byte(w.State))
		for _, v := range [...]int64{w.Revision, w.Clicks, w.Ads} {
			b = AppendTotal(b, v)
		}
		b = AppendRows(b, w.Rows, digests)
		b = AppendRows(b, w.Top, false)
		if version != partialVersion {
			b = AppendRows(b, w.Shares, digests)
		}
	}
	return b
}

// AppendProgress encodes one source's progress; snapshots use it too.
func AppendProgress(b []byte, g *Progress) []byte {
	b = appendSource(b, g.Source)
	b = AppendTotal(b, g.High)
	b = AppendTime(b, g.Watermark)
	b = AppendAccount(b, &g.Account)
	for _, v := range [...]int64{g.Tally.Counted, g.Tally.Duplicate, g.Tally.Conflict, g.Tally.Crowded, g.Tally.Stale} {
		b = AppendTotal(b, v)
	}
	return b
}

// ParseProgress reads what [AppendProgress] wrote and returns what follows it.
func ParseProgress(b []byte) (Progress, []byte, error) {
	d := NewDecoder(b)
	var g Progress
	d.Progress(&g)
	if d.bad {
		return Progress{}, nil, fmt.Errorf("progress: %w", ErrWire)
	}
	return g, d.b, nil
}

// Progress reads what [AppendProgress] wrote and reuses g's strings.
func (d *Decoder) Progress(g *Progress) {
	d.source(&g.Source)
	g.High = d.Total()
	g.Watermark = d.Time()
	g.Account = d.account()
	for _, v := range [...]*int64{&g.Tally.Counted, &g.Tally.Duplicate, &g.Tally.Conflict, &g.Tally.Crowded, &g.Tally.Stale} {
		*v = d.Total()
	}
}

// Parse decodes a partials record into p and reuses p's slices and strings. Ads
// stay views into b. After an error p holds nothing of use.
func (p *Partial) Parse(b []byte) error {
	d := NewDecoder(b)
	version, err := d.Versions(partialVersion, partialDigestVersion, "partial")
	if err != nil {
		return err
	}
	sources, windows := p.Sources[:0], p.Windows[:0]
	*p = Partial{Watermark: None, Closed: None}
	shard, shards := d.Uint(), d.Uint()
	if shard >= shards || shards > 1<<20 {
		d.Fail()
	}
	p.Shard, p.Shards = int32(shard), int32(shards)
	p.Prev, p.Position = d.Total(), d.Total()
	chunk := d.Uint()
	if chunk > 1<<30 {
		d.Fail()
	}
	p.Chunk = int32(chunk)
	p.At = d.Time()
	p.Top, p.Tick = d.Total(), d.Total()
	if p.Last = d.Flag(); p.Last {
		p.Watermark, p.Closed = d.Time(), d.Time()
		for range d.Count(30) {
			sources = more(sources)
			d.Progress(&sources[len(sources)-1])
		}
	}
	for range d.Count(9) {
		windows = more(windows)
		d.window(&windows[len(windows)-1], version)
	}
	p.Sources, p.Windows = sources, windows
	if p.version() != version {
		d.Fail() // it is written as the version without
	}
	return d.End("partial")
}

// more lengthens s by one element, which keeps what it held before s was cut:
// its slices and strings are used again.
func more[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}

func (d *Decoder) window(w *WindowPart, version byte) {
	digests := version == partialDigestVersion
	w.Filter = d.Text(w.Filter)
	w.Start = d.Int()
	w.Size = d.Total()
	w.State = d.State()
	w.Revision, w.Clicks, w.Ads = d.Total(), d.Total(), d.Total()
	w.Rows = d.Rows(w.Rows, digests)
	w.Top = d.Rows(w.Top, false)
	if w.Shares = w.Shares[:0]; version != partialVersion {
		w.Shares = d.Rows(w.Shares, digests)
	}
}
