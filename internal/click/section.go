package click

import (
	"encoding/binary"
	"fmt"
)

// Section is one record of the shuffle topic: the clicks of one source's offsets
// [Start, End) that belong to one shard, with the source's watermark after them.
// A mapper sends a section of the same range to every shard, empty for those
// that have no click in it, so that every shard can prove that it misses none.
//
// What a shard must know to judge stands in the section: a shard has no rules of
// its own, so it does not matter which process runs it, or how many do.
//
// Layout, version 2 (varints as in encoding/binary; "time" is a byte 0 for
// [None], or a byte 1 and a varint of Unix ms):
//
//	byte    version = 2
//	        source: 16 bytes topic id, uvarint partition, uvarint length + topic
//	uvarint Term
//	uvarint Start, uvarint End − Start
//	byte    Final (0 or 1)
//	time    Watermark, Closed, At
//	uvarint Sources
//	uvarint Horizon, MaxIDs, MaxAds, Top, Tick
//	        account: uvarint skipped, received, marks, late, routed; byte n, n uvarints rejected
//	uvarint number of clicks
//	varint  base: event time the clicks' times are relative to
//	        per click: uvarint offset − previous offset (first: − Start), varint time − base,
//	        16 bytes id (big endian), 4 bytes check, uvarint length + ad
//
// Version 3 has, between the account and the clicks, a uvarint of at least 1 and as many
// shares: uvarint length + ad, time From, time Until.
//
// Version 4, written when a click passed a filter, has there: uvarint number of shares, and the shares;
// uvarint number of sets of filters, each uvarint number of identifiers, each uvarint length + identifier, ascending;
// uvarint number of masks, each uvarint number of its set, uvarint mask; uvarint length + as many bytes: per click
// a uvarint 0, or place of its mask + 1, without the zeros at the end. Sets and masks
// stand in the order of their first use, each once.
type Section struct {
	Source     Source
	Term       int64 // of the source's owner; a section of an earlier owner than one heard of is passed over
	Start, End int64
	Final      bool  // the source is retired: nobody waits for it any more
	Watermark  int64 // of the source after End; None when it has none
	// Closed is the end of the newest window that the source has closed for good: it
	// sends no more clicks into windows that end at or before it. None when there is
	// none. It never falls, whatever becomes of the rules.
	Closed  int64
	At      int64 // the broker's clock when the section was made, Unix ms; paces the ticks; None when unknown
	Sources int32 // how many sources the mapper knows of in all input topics; a shard waits for each
	Rules   Rules
	Account Account
	Shares  []Share // of the spread ads in Clicks
	Clicks  Clicks
}

// Rules are what a shard goes by when it folds a section.
type Rules struct {
	Horizon int64 // ms; the windows of a click and of its repeat start no further apart
	MaxIDs  int64 // most identities a shard remembers
	MaxAds  int64 // most ads a shard counts in one window
	Top     int64 // length of a window's ranked list
	Tick    int64 // ms of the shard's clock between two emissions
}

// Routed is one click as a shard sees it. Ad and Filters are views into the section.
type Routed struct {
	Offset int64
	Time   int64 // event time, Unix ms
	ID     ID
	Check  uint32 // hash of the record's bytes: tells a repeat from a conflict
	Ad     []byte

	// Filters are the identifiers, ascending, that the bits of Mask stand for: bit i
	// is set when the click passed filter i. At most [FiltersMost]. [FilterAll], which
	// every click passes, has no bit. None when Mask is 0.
	Filters []string
	Mask    uint64
}

const (
	sectionVersion = 2
	sharesVersion  = 3 // with shares
	masksVersion   = 4 // with masks, and perhaps with shares
)

// Clicks is the encoded list of a section's clicks: appended to by the mapper,
// walked by the shard, never held as a slice of structs.
type Clicks struct {
	N    int
	b    []byte
	base int64 // what times are relative to: the first click's time
	prev int64 // last offset; the section's start before the first

	masks masks
}

// Reset empties the list for a section that starts at an offset, and keeps its buffer.
func (c *Clicks) Reset(start int64) {
	c.masks.reset()
	*c = Clicks{b: c.b[:0], prev: start, masks: c.masks}
}

// Size is about how many bytes the clicks take.
func (c *Clicks) Size() int { return len(c.b) + len(c.masks.column) + maskBytes*len(c.masks.list) }

// maskBytes is the most that one mask takes.
const maskBytes = 1 + 10

// Add appends a click. Offsets must not fall. The list keeps the slice of filters, which
// must not change while the list is used.
func (c *Clicks) Add(r *Routed) {
	if c.N == 0 {
		c.base = r.Time
	}
	b := binary.AppendUvarint(c.b, uint64(r.Offset-c.prev))
	b = binary.AppendVarint(b, r.Time-c.base)
	b = binary.BigEndian.AppendUint64(b, r.ID.Hi)
	b = binary.BigEndian.AppendUint64(b, r.ID.Lo)
	b = binary.BigEndian.AppendUint32(b, r.Check)
	b = binary.AppendUvarint(b, uint64(len(r.Ad)))
	c.b = append(b, r.Ad...)
	if r.Mask != 0 {
		c.masks.add(c.N, r)
	}
	c.prev = r.Offset
	c.N++
}

// Walk is the list for [Clicks.Next], of a section that starts at the offset it was reset for, without
// writing it to the wire and reading it back. It is valid until the next Add or Reset.
func (c *Clicks) Walk(start int64) Clicks {
	walk := *c
	walk.prev = start
	return walk
}

// Next decodes the next click into r and tells whether there was one. It
// consumes the list. A malformed list ends early; [Clicks.Whole] tells.
func (c *Clicks) Next(r *Routed) bool {
	if c.N == 0 {
		return false
	}
	b := c.b
	delta, n := binary.Uvarint(b)
	if !shortest(b, n) {
		return c.broken()
	}
	b = b[n:]
	at, n := binary.Varint(b)
	if !shortest(b, n) || len(b) < n+21 {
		return c.broken()
	}
	b = b[n:]
	r.Offset = c.prev + int64(delta)
	r.Time = c.base + at
	r.ID.Hi = binary.BigEndian.Uint64(b)
	r.ID.Lo = binary.BigEndian.Uint64(b[8:])
	r.Check = binary.BigEndian.Uint32(b[16:])
	b = b[20:]
	l, n := binary.Uvarint(b)
	if !shortest(b, n) || l > uint64(len(b)-n) || int64(delta) < 0 {
		return c.broken()
	}
	end := n + int(l)
	r.Ad = b[n:end:end]
	r.Filters, r.Mask = nil, 0
	if len(c.masks.column) > 0 && !c.masks.next(r) {
		return c.broken()
	}
	c.b = b[end:]
	c.prev = r.Offset
	c.N--
	return true
}

func (c *Clicks) broken() bool {
	c.N, c.b = -1, nil
	return false
}

// Whole tells, after the last Next, whether the list was well formed.
func (c *Clicks) Whole() bool { return c.N == 0 && len(c.b) == 0 && c.masks.whole() }

// Append encodes the section after b.
func (s *Section) Append(b []byte) []byte {
	version := byte(sectionVersion)
	if len(s.Shares) > 0 {
		version = sharesVersion
	}
	if len(s.Clicks.masks.list) > 0 {
		version = masksVersion
	}
	b = append(b, version)
	b = appendSource(b, s.Source)
	b = AppendTotal(b, s.Term)
	b = AppendTotal(b, s.Start)
	b = AppendTotal(b, s.End-s.Start)
	b = AppendFlag(b, s.Final)
	b = AppendTime(b, s.Watermark)
	b = AppendTime(b, s.Closed)
	b = AppendTime(b, s.At)
	b = AppendTotal(b, int64(s.Sources))
	for _, v := range [...]int64{s.Rules.Horizon, s.Rules.MaxIDs, s.Rules.MaxAds, s.Rules.Top, s.Rules.Tick} {
		b = AppendTotal(b, v)
	}
	b = AppendAccount(b, &s.Account)
	if version > sectionVersion {
		b = appendShares(b, s.Shares)
	}
	if version == masksVersion {
		b = s.Clicks.masks.append(b)
	}
	b = binary.AppendUvarint(b, uint64(s.Clicks.N))
	b = binary.AppendVarint(b, s.Clicks.base)
	return append(b, s.Clicks.b...)
}

func appendShares(b []byte, shares []Share) []byte {
	b = binary.AppendUvarint(b, uint64(len(shares)))
	for i := range shares {
		b = AppendBytes(b, shares[i].Ad)
		b = AppendTime(AppendTime(b, shares[i].From), shares[i].Until)
	}
	return b
}

// shares reads what appendShares wrote and reuses a slice and its strings.
func (d *Decoder) shares(into []Share) []Share {
	into = into[:0]
	for range d.Count(3) {
		into = more(into)
		s := &into[len(into)-1]
		s.Ad = d.Text(s.Ad)
		s.From, s.Until = d.Time(), d.Time()
	}
	return into
}

// ParseSection decodes a shuffle record. The clicks stay views into b.
func ParseSection(b []byte) (s Section, err error) {
	if err := s.Parse(b); err != nil {
		return Section{}, err
	}
	return s, nil
}

// Parse is [ParseSection] for a section that is used again: it allocates only
// when topic, spread ads or filters are other ones. After an error s holds nothing of use.
func (s *Section) Parse(b []byte) error {
	d := NewDecoder(b)
	version, err := d.Versions(sectionVersion, masksVersion, "section")
	if err != nil {
		return err
	}
	d.source(&s.Source)
	s.Term = d.Total()
	s.Start = d.Total()
	s.End = s.Start + d.Total()
	s.Final = d.Flag()
	s.Watermark, s.Closed, s.At = d.Time(), d.Time(), d.Time()
	n := d.Uint()
	if n > 1<<20 {
		d.Fail()
	}
	s.Sources = int32(n)
	for _, v := range [...]*int64{&s.Rules.Horizon, &s.Rules.MaxIDs, &s.Rules.MaxAds, &s.Rules.Top, &s.Rules.Tick} {
		*v = d.Total()
	}
	s.Account = d.account()
	if s.Shares = s.Shares[:0]; version > sectionVersion {
		s.Shares = d.shares(s.Shares)
	}
	if version == sharesVersion && len(s.Shares) == 0 {
		d.Fail() // is written as the version without
	}
	s.Clicks.masks.empty()
	if version == masksVersion {
		d.masks(&s.Clicks.masks)
	}
	s.Clicks = Clicks{N: d.Count(clickBytes), prev: s.Start, masks: s.Clicks.masks}
	s.Clicks.base = d.Int()
	s.Clicks.b = d.b
	if d.bad || s.End < s.Start || int64(s.Clicks.N) > s.End-s.Start || !s.Clicks.based() {
		return fmt.Errorf("section: %w", ErrWire)
	}
	return nil
}

// clickBytes is the least that one click takes: offset, time, id, check and an empty ad.
const clickBytes = 1 + 1 + 16 + 4 + 1

// based tells whether the times are relative to the first click's, as they are
// written: any other base would say the same in other bytes.
func (c *Clicks) based() bool {
	if c.N == 0 {
		return c.base == 0 && len(c.b) == 0
	}
	_, n := binary.Uvarint(c.b)
	return n > 0 && n < len(c.b) && c.b[n] == 0
}
