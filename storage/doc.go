// Package storage says what clickagg needs of the place where answers live:
// counts per (ad, window, filter), ranked lists per (window, filter), what the
// counts of a window are made of, how far they are complete, and what the filters
// mean. storagetest checks the promises on every backend.
//
// A row carries a version; the greatest version wins, whatever the order and
// number of writes. Nothing is ever added to or taken from what is stored.
//
// Start reading at [Store]. storage/embedded is the backend without services,
// storage/writer the stage that consumes results into a Store.
package storage
