package writer

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// rows collects records into a batch in which each row stands once, in its
// newest version: when a writer catches up, most of what it reads has been
// overtaken by what follows.
type rows struct {
	storage.Batch
	partition, partitions int32
	window                int64 // size of the installation's windows, ms
	// at finds a row again by the hash of its key. Two keys with one hash only
	// mean that a row is stored twice, which the store sorts out.
	at    map[uint64]int
	lists int // rows within the rankings and lineages
	closed
}

// reset forgets everything; what the rows point to may be reused now.
func (r *rows) reset(partition, partitions int32) {
	if r.at == nil {
		r.at = map[uint64]int{}
	}
	clear(r.at)
	clear(r.Batch.Results)
	clear(r.Batch.Rankings)
	clear(r.Batch.Lineages)
	r.Batch = storage.Batch{Results: r.Results[:0], Rankings: r.Rankings[:0], Lineages: r.Lineages[:0], Marks: r.Marks[:0], Touches: r.Touches[:0]}
	r.partition, r.partitions, r.lists = partition, partitions, 0
}

// size is how many rows wait to be stored.
func (r *rows) size() int {
	return len(r.Results) + len(r.Rankings) + len(r.Lineages) + len(r.Marks) + r.lists
}

// result takes a record of the results topic: a count, or a mark. The ad stays a
// view into the record.
func (r *rows) result(rec *click.Record) error {
	if rec.Value == nil {
		return r.mark(rec)
	}
	now, err := click.ParseResult(rec.Value)
	if err != nil {
		return err
	}
	if err := r.ours(now.Filter, now.Size); err != nil {
		return err
	}
	if now.Start+now.Size <= r.closed.until {
		r.touch(now.Start, rec.Offset)
	}
	key := xxh3.HashSeed(now.Ad, xxh3.HashStringSeed(now.Filter, uint64(now.Start)))
	i, met := r.at[key]
	if !met {
		r.at[key] = len(r.Results)
		r.Results = append(r.Results, now)
		return nil
	}
	old := &r.Results[i]
	switch {
	case old.Start != now.Start || old.Filter != now.Filter || !bytes.Equal(old.Ad, now.Ad):
		r.Results = append(r.Results, now)
	case old.Version < now.Version:
		*old = now
	}
	return nil
}

// ours refuses what no reducer of this installation says, so that one record of another
// cannot decide which windows a new store keeps, or pass for a roll-up.
func (r *rows) ours(filter string, size int64) error {
	if unit, known := storage.UnitOf(filter); !known || unit != storage.Window || size != r.window {
		return fmt.Errorf("of series %q, %d ms long: not a window of %d ms", filter, size, r.window)
	}
	return nil
}

// ranking takes a record of the rankings topic: a ranked list, or a lineage.
func (r *rows) ranking(rec *click.Record) error {
	if _, ok := rec.Headers.Get(click.HeaderLineage); ok {
		return r.lineage(rec)
	}
	now, err := click.ParseRanking(rec.Value)
	if err != nil {
		return err
	}
	if err := r.ours(now.Filter, now.Size); err != nil {
		return err
	}
	key := xxh3.HashStringSeed(now.Filter, uint64(now.Start))
	i, met := r.at[key]
	if !met {
		r.at[key] = len(r.Rankings)
		r.Rankings = append(r.Rankings, now)
		r.lists += len(now.Top)
		return nil
	}
	old := &r.Rankings[i]
	switch {
	case old.Start != now.Start || old.Filter != now.Filter:
		r.Rankings = append(r.Rankings, now)
		r.lists += len(now.Top)
	case old.Version < now.Version:
		r.lists += len(now.Top) - len(old.Top)
		*old = now
	}
	return nil
}

// lineage takes what a window is made of. There are so few of a window that all are
// stored.
func (r *rows) lineage(rec *click.Record) error {
	now, err := click.ParseLineage(rec.Value)
	if err != nil {
		return err
	}
	if err := r.ours(click.FilterAll, now.Size); err != nil {
		return err
	}
	r.Lineages = append(r.Lineages, now)
	r.lists += len(now.Sources)
	return nil
}

var errMark = errors.New("a record without a value that is no mark")

// mark takes a watermark record.
func (r *rows) mark(rec *click.Record) error {
	at, ok := rec.Headers.Get(click.HeaderWatermark)
	if !ok || rec.Key != nil {
		return errMark
	}
	watermark, err := strconv.ParseInt(string(at), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", click.HeaderWatermark, err)
	}
	who, _ := rec.Headers.Get(click.HeaderReducer)
	reducer, reducers, err := parseReducer(string(who))
	if err != nil {
		return fmt.Errorf("%s %q: %w", click.HeaderReducer, who, err)
	}
	closed := int64(click.None)
	if text, ok := rec.Headers.Get(click.HeaderClosed); ok {
		if closed, err = strconv.ParseInt(string(text), 10, 64); err != nil {
			return fmt.Errorf("%s: %w", click.HeaderClosed, err)
		}
	}
	m := storage.Mark{
		Partition: r.partition, Partitions: r.partitions,
		Reducer: reducer, Reducers: reducers, Watermark: watermark, Closed: closed,
	}
	if text, ok := rec.Headers.Get(click.HeaderHold); ok {
		if m.Hold, err = click.ParseHold(string(text)); err != nil {
			return fmt.Errorf("%s: %w", click.HeaderHold, err)
		}
	}
	r.Marks = append(r.Marks, m)
	r.closed.hear(&m)
	return nil
}

// parseReducer reads "r/n".
func parseReducer(text string) (reducer, reducers int32, err error) {
	left, right, _ := strings.Cut(text, "/")
	r, err := strconv.ParseUint(left, 10, 31)
	if err != nil {
		return 0, 0, err
	}
	n, err := strconv.ParseUint(right, 10, 31)
	if err != nil {
		return 0, 0, err
	}
	if r >= n {
		return 0, 0, errors.New("no such reducer")
	}
	return int32(r), int32(n), nil
}
