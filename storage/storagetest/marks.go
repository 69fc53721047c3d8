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
// the rows, one row without the other, or a count that falls.
func testReaders(t *testing.T, f *fixture) {
	const batches = 60
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			seen := int64(0)
			for {
				select {
				case <-done:
					return
				default:
				}
				seen = readOnce(t, f.store, seen)
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
	if got := readOnce(t, f.store, batches); got != batches {
		t.Errorf("%d of %d", got, batches)
	}
}

func readOnce(t *testing.T, s storage.Store, seen int64) int64 {
	complete, err := s.CompleteUntil(t.Context())
	if err != nil {
		t.Errorf("complete until: %v", err)
	}
	seen = max(seen, complete)
	cells, err := s.Count(t.Context(), click.FilterAll, []byte("b"), 0, size)
	if err != nil || seen > 0 && (len(cells) != 1 || cells[0].Count < seen) {
		t.Errorf("complete until %d, yet the cells are %+v, %v", seen, cells, err)
	}
	if len(cells) == 1 {
		seen = max(seen, cells[0].Count)
	}
	var counts []int64
	err = s.Scan(t.Context(), click.FilterAll, 0, size, func(c *storage.Cell) error { counts = append(counts, c.Count); return nil })
	if err != nil || seen > 0 && (len(counts) != 2 || counts[0] != counts[1] || counts[0] < seen) {
		t.Errorf("at %d, a scan found %v, %v", seen, counts, err)
	}
	return seen
}
