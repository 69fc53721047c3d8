package cassandra

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const (
	// rowsPerPartition is how many rows of one partition go in one request.
	rowsPerPartition = 100
	// rowsPerNode is how many rows of as many partitions go in one request; the
	// servers complain of more.
	rowsPerNode = 10
	// connections are those to each node.
	connections = 2
)

// Apply implements [storage.Store]. Nothing is stored of a batch that is refused
// with storage.ErrInvalid.
func (s *Store) Apply(ctx context.Context, b *storage.Batch) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	if err := s.check(ctx, b); err != nil {
		return err
	}
	before, rows, after := s.plan(), s.plan(), s.plan()
	if err := rows.add(s.session, b); err != nil {
		return err
	}
	if err := after.conclude(b); err != nil {
		return err
	}
	for _, t := range b.Touches {
		after.together("touches", touchRow(t))
		t.Open = true
		before.together("touches", touchRow(t))
	}
	// A touch is open before the rows change, and settled after. What speaks of the
	// rows goes when they are acknowledged.
	for _, step := range []struct {
		name string
		plan *plan
	}{{"touches", before}, {"rows", rows}, {"marks", after}} {
		step.plan.flush()
		if err := s.send(ctx, step.plan.requests); err != nil {
			return fmt.Errorf("store %s: %w", step.name, err)
		}
	}
	return nil
}

func (s *Store) plan() *plan { return &plan{Tuning: s.opts.Tuning} }

// conclude plans what says of a batch that it is stored.
func (p *plan) conclude(b *storage.Batch) error {
	for i := range b.Marks {
		p.together(marksOf, markRow(&b.Marks[i]))
		if b.Marks[i].Hold.Number > 0 {
			p.together(marksOf, holdRow(&b.Marks[i]))
		}
	}
	for i := range b.Rankings {
		r := &b.Rankings[i]
		if u, _ := storage.UnitOf(r.Filter); u == storage.Window {
			continue
		}
		when, err := at(r.Start, r.Version)
		if err != nil {
			return err
		}
		p.together("rollups"+r.Filter, rollupRow(r, when))
	}
	return nil
}

// check refuses what could not be stored.
func (s *Store) check(ctx context.Context, b *storage.Batch) error {
	for i := range b.Results {
		r := &b.Results[i]
		if err := checkRow(r.Ad, r.Filter, r.Start, r.Size, r.State); err != nil {
			return err
		}
		if err := s.checkSize(ctx, r.Filter, r.Size); err != nil {
			return err
		}
	}
	for i := range b.Rankings {
		r := &b.Rankings[i]
		if err := checkRow(nil, r.Filter, r.Start, r.Size, r.State); err != nil {
			return err
		}
		if err := s.checkSize(ctx, r.Filter, r.Size); err != nil {
			return err
		}
	}
	for i := range b.Lineages {
		l := &b.Lineages[i]
		if err := checkLineage(l); err != nil {
			return err
		}
		if err := s.checkSize(ctx, click.FilterAll, l.Size); err != nil {
			return err
		}
	}
	for i := range b.Marks {
		if err := checkMark(&b.Marks[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkSize holds the store to one size of windows, the first ever stored.
func (s *Store) checkSize(ctx context.Context, series string, size int64) error {
	if u, _ := storage.UnitOf(series); u != storage.Window {
		return nil
	}
	if s.size.Load() == 0 {
		have, err := s.agree(ctx, factSize, strconv.FormatInt(size, 10))
		if err != nil {
			return fmt.Errorf("agree on the size of windows: %w", err)
		}
		if err := s.keepSize(have); err != nil {
			return err
		}
	}
	if have := s.size.Load(); have != size {
		return fmt.Errorf("%w: keyspace %s keeps windows of %d ms, not of %d ms: choose another keyspace for another window.size",
			storage.ErrOtherSize, s.opts.Keyspace, have, size)
	}
	return nil
}

// plan sorts rows into requests.
type plan struct {
	Tuning
	requests [][]upsert
	open     map[string][]upsert // by partition
	node     map[string][]upsert // by the node they go to
}

// add plans the rows of a batch.
func (p *plan) add(s *session, b *storage.Batch) error {
	type window struct {
		filter string
		start  int64
	}
	starts, days := map[window]bool{}, map[window]bool{}
	for i := range b.Results {
		r := &b.Results[i]
		when, err := at(r.Start, r.Version)
		if err != nil {
			return err
		}
		p.apart(s, countRow(r, when))
		p.together(partition(r), windowRow(r, when))
		starts[window{r.Filter, r.Start}], days[window{r.Filter, calendar.Floor(r.Start, lengthsOf(r.Filter).counts)}] = true, true
	}
	for i := range b.Rankings {
		r := &b.Rankings[i]
		when, err := at(r.Start, r.Version)
		if err != nil {
			return err
		}
		p.requests = append(p.requests, rankingRows(r, when))
		days[window{r.Filter, calendar.Floor(r.Start, lengthsOf(r.Filter).counts)}] = true
	}
	for i := range b.Lineages {
		l := &b.Lineages[i]
		when, err := at(l.Start, l.Version)
		if err != nil {
			return err
		}
		p.together("lineage"+strconv.FormatInt(calendar.Floor(l.Start, hour), 36), lineageRow(l, when))
	}
	// Written again with every batch, so that they outlive the rows they lead to.
	for w := range starts {
		p.together("starts"+w.filter, put(since(w.start), putStart, w.filter, calendar.Floor(w.start, lengthsOf(w.filter).counts), w.start))
	}
	for w := range days {
		p.together("days"+w.filter, put(since(w.start), putDay, w.filter, w.start))
	}
	return nil
}

// partition names the partition a row has in the table of windows.
func partition(r *click.Result) string {
	b := append(make([]byte, 0, 32), byte(bucket(r.Ad)))
	b = strconv.AppendInt(b, r.Start, 36)
	return string(append(b, r.Filter...))
}

// together plans a row that shares its partition with others: they are one write
// to Cassandra.
func (p *plan) together(partition string, u upsert) {
	if p.open == nil {
		p.open = map[string][]upsert{}
	}
	p.open[partition] = p.collect(p.open[partition], u, p.RowsPerPartition)
}

// apart plans a row that is alone in its partition: it shares a request with rows
// that go to the same node.
func (p *plan) apart(s *session, u upsert) {
	if p.node == nil {
		p.node = map[string][]upsert{}
	}
	node := s.node(u)
	p.node[node] = p.collect(p.node[node], u, p.RowsPerNode)
}

// collect adds a row to others and plans a request when they are enough.
func (p *plan) collect(rows []upsert, u upsert, most int) []upsert {
	if rows = append(rows, u); len(rows) < most {
		return rows
	}
	p.requests = append(p.requests, rows)
	return nil
}

// flush plans what was collected so far.
func (p *plan) flush() {
	for _, collected := range []map[string][]upsert{p.open, p.node} {
		for key, rows := range collected {
			if len(rows) > 0 {
				p.requests = append(p.requests, rows)
			}
			delete(collected, key)
		}
	}
}

// node is the first replica of a row's partition that is up.
func (s *session) node(u upsert) string {
	q := s.Query(u.statement, u.args...)
	defer q.Release()
	if next := s.policy.Pick(q)(); next != nil {
		return next.Info().HostID()
	}
	return ""
}

// send sends requests side by side and returns when all are acknowledged, or at
// the first that fails for good. One failure in ten is tried again, more is a
// store that is ill and is not helped by more requests.
func (s *Store) send(ctx context.Context, requests [][]upsert) error {
	if len(requests) == 0 {
		return nil
	}
	var retries atomic.Int64
	retries.Store(max(int64(len(requests)/10), triesMost))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.pace.width())
	for _, rows := range requests {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			select {
			case s.slots <- struct{}{}:
			case <-gctx.Done():
				return gctx.Err()
			}
			defer func() { <-s.slots }()
			return insist(gctx, func() bool { return retries.Add(-1) >= 0 }, func() error { return s.session.exec(gctx, rows) })
		})
	}
	err := g.Wait()
	switch {
	case err == nil:
		s.pace.done()
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		s.pace.failed()
	}
	return translate(err)
}

// exec sends one request.
func (s *session) exec(ctx context.Context, rows []upsert) error {
	if len(rows) == 1 {
		return s.Query(rows[0].statement, rows[0].args...).WithContext(ctx).Exec()
	}
	b := s.NewBatch(gocql.UnloggedBatch).WithContext(ctx)
	for i := range rows {
		b.Query(rows[i].statement, rows[i].args...)
		b.Entries[i].Idempotent = true
	}
	return s.ExecuteBatch(b)
}
