package storagetest

import (
	"sync"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// said is a mark of reducer r of n in partition p of m.
func said(p, m, r, n int32, watermark int64) storage.Mark {
	return storage.Mark{Partition: p, Partitions: m, Reducer: r, Reducers: n, Watermark: watermark}
}

func (f *fixture) mark(marks ...storage.Mark) {
	f.t.Helper()
	f.apply(storage.Batch{Marks: marks})
}

func testMarks(_ *testing.T, f *fixture) {
	f.mark(said(0, 2, 0, 2, 500), said(0, 2, 1, 2, 400))
	f.mark(said(1, 2, 0, 2, 300))
	f.wantComplete(click.None, "reducer 1 was not heard in partition 1")
	f.mark(said(1, 2, 1, 2, -200))
	f.wantComplete(-200, "the least of four")
	f.mark(said(1, 2, 1, 2, 600))
	f.wantComplete(300, "the least rose")
	f.mark(said(1, 2, 0, 2, 100))
	f.wantComplete(300, "a mark said again late takes nothing back")
	f.mark(said(1, 2, 0, 2, 350), said(1, 2, 0, 2, 310))
	f.wantComplete(350, "the greater of two in a batch")
	f.store = f.reopen()
	f.wantComplete(350, "after a restart")
	f.mark(said(1, 2, 0, 2, 100))
	f.wantComplete(350, "said again late after a restart")
}

func testMarkCounts(_ *testing.T, f *fixture) {
	f.mark(said(0, 1, 0, 1, 500))
	f.wantComplete(500, "one of one")
	f.mark(said(0, 1, 0, 2, 100))
	f.wantComplete(click.None, "there are two reducers now, one was not heard")
	f.mark(said(0, 1, 0, 1, 900))
	f.wantComplete(click.None, "what was said when there was one counts no more")
	f.mark(said(0, 1, 1, 2, 200))
	f.wantComplete(100, "both were heard; what one of one said is forgotten")
	f.mark(said(1, 2, 0, 2, 50), said(1, 2, 1, 2, 50))
	f.wantComplete(click.None, "there are two partitions now")
	f.mark(said(0, 2, 0, 2, 300), said(0, 2, 1, 2, 300))
	f.wantComplete(50, "all four were heard")
}

// testReaders reads while batches are applied. Batch v sets both ads to v and
// then says that all is complete until v: a reader must never see a mark without
// the rows, or a count that falls.
func testReaders(t *testing.T, f *fixture) { readers(t, f, false) }

// testReadersMoment reads as testReaders does, and must never see one row without
// the other either.
func testReadersMoment(t *testing.T, f *fixture) { readers(t, f, true) }

func readers(t *testing.T, f *fixture, moment bool) {
	const batches = 60
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			var seen progress
			for {
				select {
				case <-done:
					return
				default:
				}
				seen.read(t, f.store, moment)
			}
		})
	}
	for v := int64(1); v <= batches; v++ {
		f.apply(storage.Batch{
			Results: []click.Result{result("a", 0, v, v), result("b", 0, v, v)},
			Marks:   []storage.Mark{said(0, 1, 0, 1, v)},
		})
	}
	close(done)
	readers.Wait()
	end := progress{complete: batches, count: batches, scan: batches}
	end.read(t, f.store, moment)
	if end != (progress{batches, batches, batches}) {
		t.Errorf("in the end %+v, want %d", end, batches)
	}
}

// progress is the least that each way to ask must answer from now on.
type progress struct{ complete, count, scan int64 }

// read asks in every way. The ways may be answered from different places: one
// binds the others by what it says is complete, or when all answers are of one moment.
func (p *progress) read(t *testing.T, s storage.Store, moment bool) {
	complete, err := s.CompleteUntil(t.Context())
	if err != nil || p.complete > 0 && complete < p.complete {
		t.Errorf("complete until %d after %d, %v", complete, p.complete, err)
	}
	p.complete = max(p.complete, complete)
	p.count, p.scan = max(p.count, p.complete), max(p.scan, p.complete)

	cells, err := s.Count(t.Context(), click.FilterAll, []byte("b"), 0, size)
	if err != nil || p.count > 0 && (len(cells) != 1 || cells[0].Count < p.count || cells[0].Version != cells[0].Count) {
		t.Errorf("after %+v the cells are %+v, %v", *p, cells, err)
	}
	if len(cells) == 1 {
		p.count = cells[0].Count
	}
	if moment {
		p.scan = max(p.scan, p.count)
	}
	p.readScan(t, s, moment)
	if moment {
		p.count = max(p.count, p.scan)
	}
}

func (p *progress) readScan(t *testing.T, s storage.Store, moment bool) {
	var counts []int64
	err := s.Scan(t.Context(), click.FilterAll, 0, size, func(c *storage.Cell) error {
		if c.Version != c.Count {
			t.Errorf("a cell of two versions: %+v", c)
		}
		counts = append(counts, c.Count)
		return nil
	})
	if err != nil || p.scan > 0 && (len(counts) != 2 || min(counts[0], counts[1]) < p.scan) {
		t.Errorf("after %+v a scan found %v, %v", *p, counts, err)
	}
	if len(counts) == 2 {
		p.scan = min(counts[0], counts[1])
	}
	if moment && len(counts) == 2 && counts[0] != counts[1] {
		t.Errorf("a scan found %v of one batch", counts)
	}
}
