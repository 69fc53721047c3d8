package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	// ringParts of the ring are read side by side: few, as nobody waits for an answer.
	ringParts = 4
	// An arc of the ring is made so long that it is read in about this time. A server asked to pass over
	// too many partitions that have nothing of a range gives up, and how many those are nobody knows.
	arcTime = 250 * time.Millisecond
	// The first arc and the shortest, of a ring that is 1<<64 long.
	firstArc = 1 << 50
	leastArc = 1 << 40

	pageOfCopies = 5000
)

// copied is a count in the table by ad.
type copied struct {
	series string
	cell   storage.Cell
}

// Copies implements [storage.Store]. The table counts, which [Store.Count] reads, is in the order of a hash of
// its keys, and all of it is passed over; servers from 5.0 on leave out the files that have nothing of the range.
func (s *Store) Copies(ctx context.Context, from, to int64, f func(series string, c *storage.Cell) error) (bool, error) {
	if err := s.use(ctx); err != nil {
		return true, err
	}
	if from, to = clamp(from, to); from >= to {
		return true, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	arcs := make(chan []copied)
	for part := range uint64(ringParts) {
		const long = 1 << 62
		g.Go(func() error { return s.ring(gctx, part*long, part*long+(long-1), from, to, arcs) })
	}
	read := make(chan error, 1)
	go func() {
		read <- g.Wait()
		close(arcs)
	}()
	var stop error // the caller's, returned as it is
	for cells := range arcs {
		for i := 0; i < len(cells) && stop == nil; i++ {
			if stop = f(cells[i].series, &cells[i].cell); stop != nil {
				cancel()
			}
		}
	}
	switch err := <-read; {
	case stop != nil:
		return true, stop
	case err != nil:
		return true, fmt.Errorf("copies: %w", translate(err))
	}
	return true, nil
}

// ring reads a part of the ring, arc by arc. Each is handed out when it is whole, so that it can be
// read again.
func (s *Store) ring(ctx context.Context, at, end uint64, from, to int64, arcs chan<- []copied) error {
	for long := uint64(firstArc); ; {
		last := at + min(long-1, end-at)
		began := time.Now()
		cells, err := s.arc(ctx, at, last, from, to)
		took := time.Since(began)
		if err != nil && long > leastArc && (again(err) || errors.Is(err, gocql.ErrTimeoutNoResponse)) {
			long /= 2
			continue
		}
		if err != nil {
			return err
		}
		select {
		case arcs <- cells:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case last == end:
			return nil
		case took < arcTime/2:
			long = min(2*long, 1<<62)
		case took > 2*arcTime:
			long = max(long/2, leastArc)
		}
		at = last + 1
	}
}

// arc reads the counts of a range in the arc from first to last, counted from the least token.
func (s *Store) arc(ctx context.Context, first, last uint64, from, to int64) ([]copied, error) {
	const least = 1 << 63
	it := s.read(ctx, getCopies, int64(first^least), int64(last^least), from, to).PageSize(pageOfCopies).Iter()
	var cells []copied
	for {
		var c copied
		var digest int64
		var state int8
		if !it.Scan(&c.cell.Ad, &c.series, &c.cell.Start, &c.cell.Count, &digest, &c.cell.Revision, &state, &c.cell.Version) {
			return cells, it.Close()
		}
		if c.cell.Count > 0 {
			c.cell.Digest, c.cell.State = uint64(digest), click.State(state)
			cells = append(cells, c)
		}
	}
}
