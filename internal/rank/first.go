package rank

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// Order compares two rows by their places in a ranked list: negative when a comes first.
func Order(a, b click.Row) int {
	if a.Count != b.Count {
		return cmp.Compare(b.Count, a.Count)
	}
	return bytes.Compare(a.Ad, b.Ad)
}

// First keeps the first rows of those added.
type First struct {
	most int
	rows rowHeap // the last on top
}

// NewFirst makes one that keeps at most so many rows, a positive number.
func NewFirst(most int) *First { return &First{most: most} }

// Add takes a row; one without a click is passed over. The ad is kept as it is, not copied.
func (f *First) Add(row click.Row) {
	switch {
	case row.Count <= 0:
	case len(f.rows) < f.most:
		heap.Push(&f.rows, row)
	case Order(row, f.rows[0]) < 0:
		f.rows[0] = row
		heap.Fix(&f.rows, 0)
	}
}

// Takes tells whether a row would be kept if it were added.
func (f *First) Takes(row click.Row) bool {
	return row.Count > 0 && (len(f.rows) < f.most || Order(row, f.rows[0]) < 0)
}

// End is the last of the rows, and false while there are fewer than are kept.
func (f *First) End() (click.Row, bool) {
	if len(f.rows) < f.most {
		return click.Row{}, false
	}
	return f.rows[0], true
}

// Sorted returns the rows in order. Nothing can be added afterwards.
func (f *First) Sorted() []click.Row {
	slices.SortFunc(f.rows, Order)
	return f.rows
}

type rowHeap []click.Row

func (h rowHeap) Len() int           { return len(h) }
func (h rowHeap) Less(i, j int) bool { return Order(h[i], h[j]) > 0 }
func (h rowHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rowHeap) Push(row any)      { *h = append(*h, row.(click.Row)) }
func (h *rowHeap) Pop() any {
	row := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return row
}
