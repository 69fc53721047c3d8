// Package reconcile holds what is stored against the records it was counted from: every count
// per ad, window and filter, the ranked lists, and hours and days against their windows; and the state and revision of
// each against what one that has ended can have.
//
// [Reconciler.Run] counts once more, with clicks that came too late gathered beside the valid ones, and merges
// the result with the store window by window. What differs is looked into: the clicks near it are
// read again, and [cause.Explain] names causes and sizes. Only windows that are closed for good are
// compared, and nothing is written; what was found wrong is put right by [Reconciler.Repair].
//
// Memory is bounded: by the ads of a few windows, and by [differencesMost] and [clicksMost].
//
// Start reading at [Reconciler.Run].
package reconcile
