package cassandra

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	hour = 3_600_000 // ms
	day  = 24 * hour

	// The windows a store takes start in the years 0 to 9999, as on the results
	// topic. Microseconds of those fit a timestamp, their days a date.
	minStart = -62_167_219_200_000
	maxStart = 253_402_300_799_999

	// buckets a window's ads are spread over. The number is part of the schema.
	buckets = 8

	// headOf is how many ads of a list stand in a cell of their own, for questions that need no more.
	headOf = 100

	maxKey = 60_000 // bytes of an ad and a filter; Cassandra takes 64 KiB in a key
)

// writeTime is the timestamp a cell is written with: the only thing that decides
// which of two writes stays. It is made of positions in the log and the start of
// the window, never of a clock. Being near the window's time, it lets the
// compaction put rows that end together into files that end together.
type writeTime int64

// at is when a row of a window and a version is written. For one row the start
// never changes, so that it rises with the version.
func at(start, version int64) (writeTime, error) {
	micros := start * 1000
	if version < 0 || version > math.MaxInt64-max(micros, 0) {
		return 0, fmt.Errorf("%w: version %d", storage.ErrInvalid, version)
	}
	return writeTime(micros + version), nil
}

// since is when a row is written that, once there, never changes.
func since(start int64) writeTime { return writeTime(start * 1000) }

// reached is when a mark is written: it rises with the watermark.
func reached(watermark int64) writeTime { return writeTime(watermark * 1000) }

// lengths is how long the stretches of time are that a series' partitions hold, in ms:
// so long that a question has few to read, and so short that none grows large.
type lengths struct {
	counts int64 // of an ad, and of the starts there are
	lists  int64 // of ranked lists
}

// lengthsOf is part of the schema.
func lengthsOf(series string) lengths {
	switch u, _ := storage.UnitOf(series); u {
	case storage.Window:
		return lengths{day, hour}
	case storage.Hour:
		return lengths{16 * day, day}
	default:
		return lengths{384 * day, 32 * day}
	}
}

// bucket is where in its window an ad lives.
func bucket(ad []byte) int8 { return int8(xxh3.Hash(ad) % buckets) }

// clamp narrows [from, to) to what can be stored.
func clamp(from, to int64) (int64, int64) {
	return max(from, minStart), min(to, maxStart+1)
}

// checkRow refuses what could not be written, or not be found again.
func checkRow(ad []byte, filter string, start, size int64, state click.State) error {
	switch unit, known := storage.UnitOf(filter); {
	case !known || !unit.Fits(start, size, size):
		return fmt.Errorf("%w: no time of series %q of %d ms starts at %d", storage.ErrInvalid, filter, size, start)
	case start < minStart || start > maxStart:
		return fmt.Errorf("%w: a window that starts at %d is outside the years 0 to 9999", storage.ErrInvalid, start)
	case state < click.Provisional || state > click.Corrected:
		return fmt.Errorf("%w: %v is no state", storage.ErrInvalid, state)
	case filter == "":
		return fmt.Errorf("%w: a row without a filter", storage.ErrInvalid)
	case !utf8.Valid(ad) || !utf8.ValidString(filter):
		return fmt.Errorf("%w: ad %q or filter %q is not UTF-8", storage.ErrInvalid, ad, filter)
	case len(ad)+len(filter) > maxKey:
		return fmt.Errorf("%w: an ad and a filter of %d bytes together, over %d", storage.ErrInvalid, len(ad)+len(filter), maxKey)
	}
	return nil
}

func checkLineage(l *click.Lineage) error {
	if err := checkRow(nil, click.FilterAll, l.Start, l.Size, l.State); err != nil {
		return err
	}
	if !l.Valid() {
		return fmt.Errorf("%w: no reducer says such a lineage of the window at %d", storage.ErrInvalid, l.Start)
	}
	return nil
}

func checkMark(m *storage.Mark) error {
	if m.Partition < 0 || m.Partition >= m.Partitions || m.Reducer < 0 || m.Reducer >= m.Reducers {
		return fmt.Errorf("%w: mark of reducer %d of %d in partition %d of %d",
			storage.ErrInvalid, m.Reducer, m.Reducers, m.Partition, m.Partitions)
	}
	if m.Watermark < minStart || m.Watermark > maxStart {
		return fmt.Errorf("%w: a mark at %d is outside the years 0 to 9999", storage.ErrInvalid, m.Watermark)
	}
	return nil
}
