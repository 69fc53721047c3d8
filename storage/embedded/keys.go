package embedded

import (
	"cmp"
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
//	cell:    kindCell, filter, time Start, ad       → version, varint Count, Revision, byte State
//	ranking: kindRanking, filter, time Start        → version, varint Revision, Clicks, Ads, byte State,
//	                                                  uvarint rows, each uvarint length + ad, varint by how
//	                                                  much its count is below the one before
//	lineage: kindLineage, time Start                → version, JSON as on the rankings topic
//	mark:    kindMark, Partition, Reducer           → Partitions, Reducers, Watermark
//	filter:  kindFilter, ID, 0, time From           → version, varint Until, Name, Where: each uvarint length + bytes
//	raw:     kindRaw, topic, 0, incarnation,        → varint Append, key, value: each varint length (-1: absent)
//	         Partition, Offset                        + bytes; varint headers, their bytes as in a Kafka record
//
// A filter is its uvarint length and its bytes. Times and versions are 8 bytes
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
	kindLineage = 'l'
	kindMark    = 'm'
	kindRanking = 'r'
	kindRaw     = 'x'
)

const formatVersion = "1"

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
	return append(b, byte(r.State))
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
	return b
}

// ranking reads a list into memory of its own.
func ranking(suffix, value []byte) (click.Ranking, error) {
	if len(suffix) != 8 || len(value) < 8 {
		return click.Ranking{}, errRow
	}
	d := click.NewDecoder(slices.Clone(value[8:]))
	r := click.Ranking{
		Start: ordered(suffix), Version: ordered(value),
		Revision: d.Int(), Clicks: d.Int(), Ads: d.Int(), State: d.State(),
	}
	r.Top = make([]click.Row, d.Count(2))
	above := int64(0)
	for i := range r.Top {
		r.Top[i].Ad = d.Bytes()
		above -= d.Int()
		r.Top[i].Count = above
	}
	return r, end(&d)
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

func end(d *click.Decoder) error {
	if d.End("row") != nil {
		return errRow
	}
	return nil
}

func appendMarkKey(b []byte, m *storage.Mark) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindMark), uint32(m.Partition))
	return binary.BigEndian.AppendUint32(b, uint32(m.Reducer))
}

func appendMark(b []byte, m *storage.Mark) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(m.Partitions))
	b = binary.BigEndian.AppendUint32(b, uint32(m.Reducers))
	return appendOrdered(b, m.Watermark)
}

func mark(value []byte) (storage.Mark, error) {
	if len(value) != 16 {
		return storage.Mark{}, errRow
	}
	partitions, reducers := binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:])
	if partitions > math.MaxInt32 || reducers > math.MaxInt32 {
		return storage.Mark{}, errRow
	}
	return storage.Mark{Partitions: int32(partitions), Reducers: int32(reducers), Watermark: ordered(value[8:])}, nil
}

// cmpCounts orders marks as their values do, without the watermark.
func cmpCounts(a, b *storage.Mark) int {
	return cmp.Or(cmp.Compare(a.Partitions, b.Partitions), cmp.Compare(a.Reducers, b.Reducers))
}
