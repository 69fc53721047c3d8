// Package copies holds the two copies of counts against each other where a store keeps two: those that
// questions about one ad are answered from, and those that are read window by window.
//
// [Find] reads each copy once, by the sums of hashes per window, hour and day, and only where those differ a
// second time, count by count. What is changed while it is read is told apart by the touches of its hour.
// Nothing is written. Of a store that keeps one copy there is nothing to find.
//
// Memory is bounded by the windows of the range, and by [cellsMost].
//
// Start reading at [Find].
package copies
