package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// Options bound what a store takes. The zero Options are good defaults: about
// 64 MiB of memory.
type Options struct {
	CacheBytes    int64       // blocks read from disk lately; 0 is 32 MiB
	MemTableBytes uint64      // each of two tables of rows not yet in files; 0 is 16 MiB
	ReserveBytes  uint64      // Apply refuses while the disk has less free; 0 is 64 MiB
	Logger        *zap.Logger // nil logs nothing

	// Owner names the installation whose results these are. Versions count anew in
	// another one, so a store that has an owner is refused to any other.
	Owner string
}

func (o Options) withDefaults() Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = 32 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 16 << 20
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}

var errClosed = errors.New("store is closed")

// Store is a storage.Store in one directory.
type Store struct {
	dir     string
	reserve uint64
	lock    io.Closer
	id      string
	size    atomic.Int64 // of the windows, ms; 0 while the store is empty

	// life is held for reading by every call at work, so that Close waits for
	// them: the engine must not be closed under a reader.
	life sync.RWMutex
	db   *pebble.DB // nil once closed
}

var _ storage.Store = (*Store)(nil)

// ID implements [storage.Store].
func (s *Store) ID() string { return s.id }

// use keeps the engine open until done is called.
func (s *Store) use() (db *pebble.DB, done func(), err error) {
	s.life.RLock()
	if s.db == nil {
		s.life.RUnlock()
		return nil, nil, errClosed
	}
	return s.db, s.life.RUnlock, nil
}

// Close implements storage.Store. It waits for the calls at work, and leaves
// nothing in the engine's log, so that the next Open has nothing to redo.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.db == nil {
		return errClosed
	}
	err := errors.Join(s.db.Flush(), s.db.Close(), s.lock.Close())
	s.db = nil
	if err != nil {
		return fmt.Errorf("close store %s: %w", s.dir, err)
	}
	return nil
}

// Apply implements storage.Store. Calls at the same time share a sync of the disk.
func (s *Store) Apply(ctx context.Context, b *storage.Batch) error {
	db, done, err := s.use()
	if err != nil {
		return err
	}
	defer done()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.check(b); err != nil {
		return err
	}
	if err := s.spare(); err != nil {
		return err
	}
	rows := db.NewBatch()
	defer func() { _ = rows.Close() }()
	if err := s.put(rows, b); err != nil {
		return fmt.Errorf("fill batch: %w", err)
	}
	if rows.Empty() {
		return nil
	}
	if err := rows.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// check refuses what could not be read again.
func (s *Store) check(b *storage.Batch) error {
	for i := range b.Results {
		r := &b.Results[i]
		if err := s.checkTime(r.Filter, r.Start, r.Size, r.State); err != nil {
			return err
		}
	}
	for i := range b.Rankings {
		r := &b.Rankings[i]
		if err := s.checkTime(r.Filter, r.Start, r.Size, r.State); err != nil {
			return err
		}
	}
	for i := range b.Lineages {
		l := &b.Lineages[i]
		if err := s.checkTime(click.FilterAll, l.Start, l.Size, l.State); err != nil {
			return err
		}
		if !l.Valid() {
			return fmt.Errorf("%w: no reducer says such a lineage of the window at %d", storage.ErrInvalid, l.Start)
		}
	}
	for i := range b.Marks {
		m := &b.Marks[i]
		if m.Partition < 0 || m.Partition >= m.Partitions || m.Reducer < 0 || m.Reducer >= m.Reducers {
			return fmt.Errorf("%w: mark of reducer %d of %d in partition %d of %d",
				storage.ErrInvalid, m.Reducer, m.Reducers, m.Partition, m.Partitions)
		}
	}
	return nil
}

// checkTime refuses times that are none of a series', and windows of another size than
// those that are here.
func (s *Store) checkTime(series string, start, size int64, state click.State) error {
	unit, known := storage.UnitOf(series)
	if !known || !unit.Fits(start, size, size) || state < click.Provisional || state > click.Corrected {
		return fmt.Errorf("%w: no time of series %q starts at %d with %d ms, or %v is no state", storage.ErrInvalid, series, start, size, state)
	}
	if unit == storage.Window && s.size.Load() != size && !s.size.CompareAndSwap(0, size) {
		return fmt.Errorf("%w: the store in %s keeps windows of %d ms, not of %d ms: choose another data_dir for another window.size",
			storage.ErrOtherSize, s.dir, s.size.Load(), size)
	}
	return nil
}

// spare keeps some of the disk free: the engine does not survive a disk that is
// full to the last byte, a reader that waits does.
func (s *Store) spare() error {
	disk, err := vfs.Default.GetDiskUsage(s.dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", s.dir, err)
	}
	if disk.AvailBytes < s.reserve {
		return fmt.Errorf("%w: the disk of %s has %d MiB free, %d MiB are kept in reserve: make room",
			storage.ErrUnavailable, s.dir, disk.AvailBytes>>20, s.reserve>>20)
	}
	return nil
}

func (s *Store) put(rows *pebble.Batch, b *storage.Batch) error {
	w := rowWriter{rows: rows}
	for i := range b.Results {
		r := &b.Results[i]
		w.put(appendCellKey(w.key[:0], r), appendCell(w.value[:0], r))
	}
	for i := range b.Rankings {
		r := &b.Rankings[i]
		w.put(appendRankingKey(w.key[:0], r), appendRanking(w.value[:0], r))
		if u, _ := storage.UnitOf(r.Filter); u != storage.Window {
			w.put(appendRollupKey(w.key[:0], r), appendRollup(w.value[:0], r))
		}
	}
	for i := range b.Lineages {
		w.put(appendLineageKey(w.key[:0], b.Lineages[i].Start), appendLineage(w.value[:0], &b.Lineages[i]))
	}
	for i := range b.Marks {
		m := &b.Marks[i]
		w.put(appendMarkKey(w.key[:0], kindMark, m), appendMark(w.value[:0], m, m.Watermark))
		w.put(appendMarkKey(w.key[:0], kindClosed, m), appendMark(w.value[:0], m, m.Closed))
		if m.Hold.Number > 0 {
			w.put(appendMarkKey(w.key[:0], kindHold, m), appendHold(w.value[:0], m.Hold))
		}
	}
	for i := range b.Touches { // one with the results, so that none is ever open
		t := &b.Touches[i]
		w.put(appendTouchKey(w.key[:0], t), appendOrdered(w.value[:0], t.Number()))
	}
	if w.err != nil || len(b.Results)+len(b.Rankings)+len(b.Lineages) == 0 {
		return w.err
	}
	// Every batch says it, so that the first one that lands does.
	return rows.Set([]byte{kindSize}, binary.BigEndian.AppendUint64(w.value[:0], uint64(s.size.Load())), nil)
}

// rowWriter fills a batch of the engine until something goes wrong.
type rowWriter struct {
	rows       *pebble.Batch
	key, value []byte // whose memory is used again
	err        error
}

func (w *rowWriter) put(key, value []byte) {
	w.key, w.value = key, value
	if w.err == nil {
		w.err = w.rows.Merge(key, value, nil)
	}
}
