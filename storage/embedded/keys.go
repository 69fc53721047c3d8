package embedded

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// The first byte of a key is its kind, and the engine's order is the order of
// answers: a filter's cells by window, then by the ad's bytes.
//
//	format:  kindFormat                             → formatVersion
//	id:      kindID                                 → the store's random name
//	owner:   kindOwner                              → whose results these are
//	size:    kindSize                               → window size in ms, 8 bytes
//	cell:    kindCell, filter, time Start, ad       → version, varint Count, Revision, byte State,
//	                                                  8 bytes digest, big endian, if it is known and not 0
//	ranking: kindRanking, filter, time Start        → version, varint Revision, Clicks, Ads, byte State,
//	                                                  uvarint rows, each uvarint length + ad, varint by how
//	                                                  much its count is below the one before
//	lineage: kindLineage, time Start                → version, JSON as on the rankings topic
//	mark:    kindMark, Partition, Reducer           → Partitions, Reducers, Watermark
//	filter:  kindFilter, ID, 0, time From           → version, varint Until, Name, Where: each uvarint length + bytes
//	closed:  kindClosed, Partition, Reducer         → Partitions, Reducers, Closed
//	hold:    kindHold, Partition, Reducer           → Number, byte Done, times From, To
//	rollup:  kindRollup, series, time Start         → version, varint size in ms
//	touch:   kindTouch, time Hour, Partition        → number
//	raw:     kindRaw, topic, 0, incarnation,        → varint Append, key, value: each varint length (-1: absent)
//	         Partition, Offset                        + bytes; varint headers, their bytes as in a Kafka record
//
// A filter is its uvarint length and its bytes, the name of a series stands like one; the list
// of a day ends with its size, a varint in ms. Times, versions and numbers of touches are 8 bytes
// in the order of numbers, as offsets are; numbers of partitions and reducers 4.
//
// Merged values open with what decides which is newer, so that the newest is the
// greatest of the values' bytes. For a mark these are the counts, then the
// watermark: partitions are added to a topic and never taken away, so greater
// counts are the newer ones.
const (
	kindFormat  = 'F'
	kindID      = 'I'
	kindOwner   = 'O'
	kindSize    = 'S'
	kindCell    = 'c'
	kindFilter  = 'f'
	kindClosed  = 'k'
	kindHold    = 'h'
	kindLineage = 'l'
	kindMark    = 'm'
	kindRanking = 'r'
	kindRollup  = 'u'
	kindTouch   = 't'
	kindRaw     = 'x'
)

const (
	formatVersion     = "2"
	undigestedVersion = "1" // no cell has a digest
)

var errRow = errors.New("a stored row cannot be read")

// appendOrdered encodes a number so that bytes compare as numbers do.
func appendOrdered(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(v)^1<<63)
}

func ordered(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// appendFilter opens the key of a cell or a ranking.
func appendFilter(b []byte, kind byte, filter string) []byte {
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(len(filter)))
	return append(b, filter...)
}

// after is the first key that does not begin with the prefix, which opens with a
// kind and so is not all 0xff.
func after(prefix []byte) []byte {
	b := slices.Clone(prefix)
	for i := len(b) - 1; ; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
}

func appendCellKey(b []byte, r *click.Result) []byte {
	b = appendFilter(b, kindCell, r.Filter)
	return append(appendOrdered(b, r.Start), r.Ad...)
}

func appendCell(b []byte, r *click.Result) []byte {
	b = appendOrdered(b, r.Version)
	b = binary.AppendVarint(b, r.Count)
	b = binary.AppendVarint(b, r.Revision)
	b = append(b, byte(r.State))
	if r.Digest != 0 {
		b = binary.BigEndian.AppendUint64(b, r.Digest)
	}
	return b
}

// cell reads a row whose key goes on with suffix after the filter. Ad is a view.
func cell(suffix, value []byte) (storage.Cell, error) {
	if len(suffix) < 8 || len(value) < 8 {
		return storage.Cell{}, errRow
	}
	d := click.NewDecoder(value[8:])
	c := storage.Cell{
		Ad: suffix[8:], Start: ordered(suffix), Version: ordered(value),
		Count: d.Int(), Revision: d.Int(), State: d.State(),
	}
	if d.More() {
		c.Digest = d.Uint64()
	}
	return c, end(&d)
}

func appendRankingKey(b []byte, r *click.Ranking) []byte {
	return appendOrdered(appendFilter(b, kindRanking, r.Filter), r.Start)
}

func appendRanking(b []byte, r *click.Ranking) []byte {
	b = appendOrdered(b, r.Version)
	for _, v := range [...]int64{r.Revision, r.Clicks, r.Ads} {
		b = binary.AppendVarint(b, v)
	}
	b = append(b, byte(r.State))
	b = binary.AppendUvarint(b, uint64(len(r.Top)))
	above := int64(0)
	for i := range r.Top {
		b = click.AppendBytes(b, r.Top[i].Ad)
		b = binary.AppendVarint(b, above-r.Top[i].Count)
		above = r.Top[i].Count
	}
	if sized(r.Filter) {
		b = binary.AppendVarint(b, r.Size)
	}
	return b
}

// sized tells whether what is stored of a series says how long it is: days differ.
func sized(series string) bool {
	u, _ := storage.UnitOf(series)
	return u == storage.Day
}

// ranking reads the first most ads of a series' list into memory of its own. The size is 0
// where it is not stored.
func ranking(series string, suffix, value []byte, most int) (click.Ranking, error) {
	if len(suffix) != 8 || len(value) < 8 {
		return click.Ranking{}, errRow
	}
	d := click.NewDecoder(value[8:])
	r := click.Ranking{
		Start: ordered(suffix), Filter: series, Version: ordered(value),
		Revision: d.Int(), Clicks: d.Int(), Ads: d.Int(), State: d.State(),
	}
	rows := d.Count(2)
	r.Top = make([]click.Row, min(rows, most))
	above := int64(0)
	for i := range r.Top {
		r.Top[i].Ad = d.Bytes()
		above -= d.Int()
		r.Top[i].Count = above
	}
	own(r.Top)
	if len(r.Top) < rows && !sized(series) {
		return r, bad(&d)
	}
	for range rows - len(r.Top) {
		d.Bytes()
		d.Int()
	}
	if sized(series) {
		r.Size = d.Int()
	}
	return r, end(&d)
}

// own copies the ads of rows, which are views, into memory of their own, all at once.
func own(rows []click.Row) {
	size := 0
	for i := range rows {
		size += len(rows[i].Ad)
	}
	ads := make([]byte, 0, size)
	for i := range rows {
		ads = append(ads, rows[i].Ad...)
		rows[i].Ad = ads[len(ads)-len(rows[i].Ad):]
	}
}

func appendRollupKey(b []byte, r *click.Ranking) []byte {
	return appendOrdered(appendFilter(b, kindRollup, r.Filter), r.Start)
}

func appendRollup(b []byte, r *click.Ranking) []byte {
	return binary.AppendVarint(appendOrdered(b, r.Version), r.Size)
}

func rollup(suffix, value []byte) (storage.Rollup, error) {
	if len(suffix) != 8 || len(value) < 8 {
		return storage.Rollup{}, errRow
	}
	d := click.NewDecoder(value[8:])
	start := ordered(suffix)
	r := storage.Rollup{Start: start, End: start + d.Int(), Version: ordered(value)}
	return r, end(&d)
}

func appendTouchKey(b []byte, t *storage.Touch) []byte {
	return binary.BigEndian.AppendUint32(appendOrdered(append(b, kindTouch), t.Hour), uint32(t.Partition))
}

func touch(suffix, value []byte) (storage.Touch, error) {
	if len(suffix) != 12 || len(value) != 8 {
		return storage.Touch{}, errRow
	}
	return storage.TouchOf(ordered(suffix), int32(binary.BigEndian.Uint32(suffix[8:])), ordered(value)), nil
}

func appendLineageKey(b []byte, start int64) []byte {
	return appendOrdered(append(b, kindLineage), start)
}

func appendLineage(b []byte, l *click.Lineage) []byte {
	return l.AppendJSON(appendOrdered(b, l.Version))
}

func lineage(value []byte) (click.Lineage, error) {
	if len(value) < 8 {
		return click.Lineage{}, errRow
	}
	l, err := click.ParseLineage(value[8:])
	if err != nil || l.Version != ordered(value) {
		return click.Lineage{}, errRow
	}
	return l, nil
}

// bad tells of a fault in what was read of a row, of which the rest is not needed.
func bad(d *click.Decoder) error {
	if d.Bad() {
		return errRow
	}
	return nil
}

func end(d *click.Decoder) error {
	if d.End("row") != nil {
		return errRow
	}
	return nil
}

// appendMarkKey makes the key of a mark's watermark or, which was added later, its closed time.
func appendMarkKey(b []byte, kind byte, m *storage.Mark) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kind), uint32(m.Partition))
	return binary.BigEndian.AppendUint32(b, uint32(m.Reducer))
}

func appendMark(b []byte, m *storage.Mark, at int64) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(m.Partitions))
	b = binary.BigEndian.AppendUint32(b, uint32(m.Reducers))
	return appendOrdered(b, at)
}

// mark reads a mark with one of its two times.
func mark(suffix, value []byte) (m storage.Mark, at int64, err error) {
	if len(suffix) != 8 || len(value) != 16 {
		return m, 0, errRow
	}
	for i, n := range []*int32{&m.Partition, &m.Reducer, &m.Partitions, &m.Reducers} {
		from := [...][]byte{suffix, suffix[4:], value, value[4:]}[i]
		v := binary.BigEndian.Uint32(from)
		if v > math.MaxInt32 {
			return m, 0, errRow
		}
		*n = int32(v)
	}
	return m, ordered(value[8:]), nil
}

func appendHold(b []byte, h click.Hold) []byte {
	b = click.AppendFlag(appendOrdered(b, h.Number), h.Done)
	return appendOrdered(appendOrdered(b, h.From), h.To)
}

func hold(value []byte) (click.Hold, error) {
	if len(value) != 25 || value[8] > 1 {
		return click.Hold{}, errRow
	}
	return click.Hold{Number: ordered(value), Done: value[8] == 1, From: ordered(value[9:]), To: ordered(value[17:])}, nil
}
