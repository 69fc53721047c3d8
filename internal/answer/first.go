package answer

import (
	"container/heap"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// first keeps the first n rows of those added, the last of them on top of a heap.
type first struct {
	n    int
	rows rowHeap
}

func (f *first) add(row click.Row) {
	switch {
	case row.Count <= 0:
	case len(f.rows) < f.n:
		heap.Push(&f.rows, row)
	case order(row, f.rows[0]) < 0:
		f.rows[0] = row
		heap.Fix(&f.rows, 0)
	}
}

// end is the n-th row, and false while there are fewer.
func (f *first) end() (click.Row, bool) {
	if len(f.rows) < f.n {
		return click.Row{}, false
	}
	return f.rows[0], true
}

// sorted returns the rows in order. Nothing can be added afterwards.
func (f *first) sorted() []click.Row {
	slices.SortFunc(f.rows, order)
	return f.rows
}

type rowHeap []click.Row

func (h rowHeap) Len() int           { return len(h) }
func (h rowHeap) Less(i, j int) bool { return order(h[i], h[j]) > 0 }
func (h rowHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rowHeap) Push(row any)      { *h = append(*h, row.(click.Row)) }
func (h *rowHeap) Pop() any {
	row := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return row
}
