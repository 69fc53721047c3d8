package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
)

const (
	// idleBytes is how much the unpacked runs may take together that nobody reads at the moment: some 16 of the largest. Beyond
	// it a run is let go of, and unpacked again when its source is read on.
	idleBytes = 256 << 20
	// guests is how many sources find their runs again if they are read once more at once, however many others are held: more
	// than are read at the same time.
	guests = 4
)

// Reader reads the records of an archive in the order of their offsets. It sees what was there when it was
// made. It holds one run of each source that is being read, and of others as many as fit in 256 MiB. Different sources
// may be read at the same time; each is read by one goroutine.
type Reader struct {
	blobs     blob.Ranger
	strangers []string
	slices    map[click.Source][]Slice
	sources   []click.Source
	cursors   map[click.Source]*cursor // of all sources

	most   int64      // see idleBytes
	mu     sync.Mutex // over what is idle
	idle   []*cursor  // with runs, the one last that was read last
	bytes  int64      // that these take
	spares sync.Pool  // of *rows, let go of
	sheets sync.Pool  // of *sheet, without rows
}

// cursor is where a source is being read.
type cursor struct {
	slice    Slice
	manifest *Manifest
	footer   []byte
	run      int // of the manifest; -1 for none
	rows     *rows
}

// NewReader makes a reader of all that is archived.
func NewReader(ctx context.Context, blobs blob.Ranger) (*Reader, error) {
	all, strangers, err := List(ctx, blobs)
	if err != nil {
		return nil, err
	}
	r := &Reader{blobs: blobs, strangers: strangers, slices: map[click.Source][]Slice{}, cursors: map[click.Source]*cursor{}, most: idleBytes}
	r.spares.New = func() any { return new(rows) }
	r.sheets.New = func() any { return new(sheet) }
	for _, s := range all {
		before := r.slices[s.Source]
		if n := len(before); n > 0 && s.From < before[n-1].To {
			return nil, fmt.Errorf("%w: %v and %v overlap; see clickagg archive verify", ErrDamaged, before[n-1], s)
		} else if n == 0 {
			r.sources = append(r.sources, s.Source)
			r.cursors[s.Source] = &cursor{run: -1}
		}
		r.slices[s.Source] = append(before, s)
	}
	return r, nil
}

// Strangers are those of [List].
func (r *Reader) Strangers() []string { return r.strangers }

// Sources lists the sources that have records, in the order of topic, incarnation and partition.
func (r *Reader) Sources() []click.Source { return r.sources }

// Slices are those of a source, in the order of offsets.
func (r *Reader) Slices(s click.Source) []Slice { return r.slices[s] }

// Read calls f for every archived record of a source with an offset in [from, to), in ascending order,
// until f returns an error, which it returns. The record is valid only during the call.
func (r *Reader) Read(ctx context.Context, s click.Source, from, to int64, f func(*click.Record) error) error {
	all := r.slices[s]
	if len(all) == 0 {
		return ctx.Err()
	}
	c := r.wake(s)
	defer r.rest(c)
	i := sort.Search(len(all), func(i int) bool { return all[i].To > from })
	for ; i < len(all) && all[i].From < to; i++ {
		if err := r.at(ctx, c, all[i]); err != nil {
			return err
		}
		for n := range c.manifest.Runs {
			run := &c.manifest.Runs[n]
			if run.To <= from || run.From >= to {
				continue
			}
			if err := r.load(ctx, c, n); err != nil {
				return err
			}
			if err := within(c.rows.records, from, to, f); err != nil {
				return err
			}
		}
	}
	r.drop(c) // whoever has read all that he wants does not come back for it
	return ctx.Err()
}

// within calls f for the records with offsets in [from, to).
func within(records []click.Record, from, to int64, f func(*click.Record) error) error {
	k, _ := slices.BinarySearchFunc(records, from, func(rec click.Record, offset int64) int { return int(min(max(rec.Offset-offset, -1), 1)) })
	for ; k < len(records) && records[k].Offset < to; k++ {
		if err := f(&records[k]); err != nil {
			return err
		}
	}
	return nil
}

// Since returns the offset of the first archived record of a source that was appended at a time
// (Unix ms) or later, and false when there is none. Append times rise along a partition but for the difference
// of two brokers' clocks, by which it may be wrong.
func (r *Reader) Since(ctx context.Context, s click.Source, ms int64) (offset int64, ok bool, err error) {
	all := r.slices[s]
	if len(all) == 0 {
		return 0, false, nil
	}
	c := r.wake(s)
	defer r.rest(c)
	i := sort.Search(len(all), func(i int) bool {
		if err == nil {
			err = r.at(ctx, c, all[i])
		}
		return err != nil || c.manifest.Received.Last >= ms
	})
	if err != nil || i == len(all) {
		return 0, false, err
	}
	if err := r.at(ctx, c, all[i]); err != nil {
		return 0, false, err
	}
	n := slices.IndexFunc(c.manifest.Runs, func(run Run) bool { return run.Received.Last >= ms })
	if n < 0 {
		return 0, false, fmt.Errorf("%w: manifest of %v: no run has its last record", ErrDamaged, c.slice)
	}
	if err := r.load(ctx, c, n); err != nil {
		return 0, false, err
	}
	k := slices.IndexFunc(c.rows.records, func(rec click.Record) bool { return rec.Append >= ms })
	if k < 0 {
		return 0, false, fmt.Errorf("%w: run %d of %v is not as its manifest says", ErrDamaged, n, c.slice)
	}
	return c.rows.records[k].Offset, true, nil
}

// wake begins to read a source: its run is not idle.
func (r *Reader) wake(s click.Source) *cursor {
	c := r.cursors[s]
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.idle, c); i >= 0 {
		r.idle = slices.Delete(r.idle, i, i+1)
		r.bytes -= c.rows.size()
	}
	return c
}

// rest ends to read a source. Its run stays, and where there is too little room, that of a source goes which was read shortly
// before: of sources that are read in turn, some then always find theirs.
func (r *Reader) rest(c *cursor) {
	if c.rows == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, c)
	for r.bytes += c.rows.size(); r.bytes > r.most; {
		i := max(len(r.idle)-1-guests, 0)
		goes := r.idle[i]
		r.idle = slices.Delete(r.idle, i, i+1)
		r.bytes -= goes.rows.size()
		r.drop(goes)
	}
}

// drop lets go of the run of a source that is not idle.
func (r *Reader) drop(c *cursor) {
	if c.rows != nil {
		r.spares.Put(c.rows)
		c.rows, c.run = nil, -1
	}
}

// at moves a source's cursor to a slice.
func (r *Reader) at(ctx context.Context, c *cursor, s Slice) error {
	if c.slice == s {
		return nil
	}
	m, err := load(ctx, r.blobs, s)
	if err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	c.slice, c.manifest, c.run, c.footer = s, m, -1, nil
	return nil
}

// part reads a part of the file of a manifest.
func (r *Reader) part(ctx context.Context, m *Manifest, at int64, p []byte) error {
	err := r.blobs.GetRange(ctx, m.File, at, p)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, blob.ErrNotFound):
		return fmt.Errorf("%w: %w; clickagg archive verify names all that is wrong", ErrDamaged, err)
	case err != nil:
		return fmt.Errorf("read archive: %w", err)
	}
	return nil
}

// load reads a run of the cursor's slice.
func (r *Reader) load(ctx context.Context, c *cursor, n int) error {
	if c.run == n {
		return nil
	}
	c.run = -1
	m, run := c.manifest, &c.manifest.Runs[n]
	if c.footer == nil {
		footer := make([]byte, m.Bytes-m.Footer)
		if err := r.part(ctx, m, m.Footer, footer); err != nil {
			return err
		}
		c.footer = footer
	}
	sheet := r.sheets.Get().(*sheet)
	defer r.sheets.Put(sheet)
	sheet.body = slices.Grow(sheet.body[:0], int(run.Bytes))[:run.Bytes]
	if err := r.part(ctx, m, run.At, sheet.body); err != nil {
		return err
	}
	if c.rows == nil {
		c.rows = r.spares.Get().(*rows)
	}
	sheet.rows = *c.rows
	_, err := sheet.run(pieces{{m.Footer, c.footer}, {run.At, sheet.body}}, m, n)
	*c.rows, sheet.rows = sheet.rows, rows{}
	if err != nil {
		return fmt.Errorf("read archive: %s: %w", m.File, err)
	}
	c.run = n
	return nil
}
