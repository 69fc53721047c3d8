package cassandra

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// ahead is how many windows a scan has asked for beyond the one it hands out. A
// window costs one round trip however few ads it has.
const ahead = 4

// Scan implements [storage.Store]. Cells are read as the scan gets to them: each
// is whole, but two need not be of one moment.
func (s *Store) Scan(ctx context.Context, filter string, from, to int64, f func(*storage.Cell) error) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	from, to = clamp(from, to)
	if from >= to {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	windows := make(chan *window, ahead)
	var failed error // of the list of windows, to be read once the channel is closed
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(windows)
		failed = s.windows(ctx, filter, from, to, windows)
	})
	var stop, err error
	for w := range windows {
		if stop == nil && err == nil {
			stop, err = w.merge(f)
		}
		if stop != nil || err != nil {
			cancel()
		}
		if closing := w.close(); err == nil && stop == nil {
			err = closing
		}
	}
	reader.Wait()
	cancel()
	if stop != nil {
		return stop // the caller's, returned as it is
	}
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("scan: %w", translate(err))
	}
	return nil
}

// windows asks for the windows of a range in order, and hands out each as soon as
// it is asked for.
func (s *Store) windows(ctx context.Context, filter string, from, to int64, out chan<- *window) error {
	days, err := s.days(ctx, filter, from, to)
	if err != nil {
		return err
	}
	for _, d := range days {
		starts, err := s.starts(ctx, filter, d, from, to)
		if err != nil {
			return err
		}
		for _, start := range starts {
			w := s.window(ctx, filter, start)
			select {
			case out <- w:
			case <-ctx.Done():
				_ = w.close()
				return ctx.Err()
			}
		}
	}
	return nil
}

// window is one window's buckets while they are read.
type window struct {
	asked   sync.WaitGroup
	buckets [buckets]*reader
}

func (s *Store) window(ctx context.Context, filter string, start int64) *window {
	w := &window{}
	for b := range w.buckets {
		w.asked.Go(func() { w.buckets[b] = s.bucket(ctx, filter, start, int8(b)) })
	}
	return w
}

// merge hands out the cells of all buckets in the order of ads. It returns the
// caller's error apart from its own.
func (w *window) merge(f func(*storage.Cell) error) (stop, err error) {
	w.asked.Wait()
	var open []*reader
	for _, r := range w.buckets {
		if r.next() {
			open = append(open, r)
		} else if err := r.close(); err != nil {
			return nil, err
		}
	}
	for len(open) > 0 {
		least := 0
		for i := range open {
			if bytes.Compare(open[i].cell.Ad, open[least].cell.Ad) < 0 {
				least = i
			}
		}
		if err := f(&open[least].cell); err != nil {
			return err, nil
		}
		if open[least].next() {
			continue
		}
		if err := open[least].close(); err != nil {
			return nil, err
		}
		open = append(open[:least], open[least+1:]...)
	}
	return nil, nil
}

func (w *window) close() error {
	w.asked.Wait()
	var err error
	for _, r := range w.buckets {
		if closing := r.close(); err == nil {
			err = closing
		}
	}
	return err
}

// reader reads the cells with a click of one bucket, in the order of ads.
type reader struct {
	rows *gocql.Iter
	cell storage.Cell
}

// bucket asks for one bucket and returns when its first page is there.
func (s *Store) bucket(ctx context.Context, filter string, start int64, b int8) *reader {
	rows := s.read(ctx, getWindow, filter, start, b).PageSize(pageOfCells).Iter()
	return &reader{rows: rows, cell: storage.Cell{Start: start}}
}

// next moves on to the next cell, whose ad is valid until the next call.
func (r *reader) next() bool {
	c := &r.cell
	var digest int64
	for state := int8(0); r.rows.Scan(&c.Ad, &c.Count, &digest, &c.Revision, &state, &c.Version); {
		if c.Count > 0 {
			c.Digest, c.State = uint64(digest), click.State(state)
			return true
		}
	}
	return false
}

func (r *reader) close() error { return translate(r.rows.Close()) }
