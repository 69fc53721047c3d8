package cassandra

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/click"
)

// top is a ranked list as a cell of type list<tuple<text, bigint>>. The driver's
// own way would box each of a thousand rows.
type top []click.Row

var (
	_ gocql.Marshaler   = top(nil)
	_ gocql.Unmarshaler = (*first)(nil)

	errTop = errors.New("a stored ranked list cannot be read")
)

// MarshalCQL implements gocql.Marshaler: the number of rows, then each row after
// its length; a row is its two fields, each after its length.
func (t top) MarshalCQL(gocql.TypeInfo) ([]byte, error) {
	size := 4
	for i := range t {
		size += 20 + len(t[i].Ad)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(len(t)))
	for i := range t {
		b = binary.BigEndian.AppendUint32(b, uint32(4+len(t[i].Ad)+4+8))
		b = binary.BigEndian.AppendUint32(b, uint32(len(t[i].Ad)))
		b = append(b, t[i].Ad...)
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, uint64(t[i].Count))
	}
	return b, nil
}

// first is the first rows of such a cell, most of them. The others are not looked at.
type first struct {
	most int
	rows []click.Row
}

// UnmarshalCQL implements gocql.Unmarshaler. The ads are views into memory of
// the list's own. One that is absent has no rows.
func (f *first) UnmarshalCQL(_ gocql.TypeInfo, b []byte) error {
	f.rows = nil
	if b == nil {
		return nil
	}
	n, b, ok := cut(b)
	if !ok || n < 0 || int64(n)*20 > int64(len(b)) {
		return errTop
	}
	rows := make([]click.Row, min(int(n), f.most))
	used := 0
	for range rows {
		row, _, ok := field(b[used:])
		if !ok {
			return errTop
		}
		used += 4 + len(row)
	}
	if len(rows) == int(n) && used != len(b) {
		return errTop
	}
	b = slices.Clone(b[:used])
	for i := range rows {
		var row, ad, count []byte
		row, b, _ = field(b)
		if ad, row, ok = field(row); !ok {
			return errTop
		}
		if count, row, ok = field(row); !ok || len(count) != 8 || len(row) != 0 {
			return errTop
		}
		rows[i] = click.Row{Ad: ad, Count: int64(binary.BigEndian.Uint64(count))}
	}
	f.rows = rows
	return nil
}

func cut(b []byte) (n int32, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, false
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:], true
}

// field takes bytes after their length off the front.
func field(b []byte) (f, rest []byte, ok bool) {
	n, b, ok := cut(b)
	if !ok || n < 0 || int(n) > len(b) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}
