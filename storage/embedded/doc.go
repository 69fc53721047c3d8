// Package embedded is the store without services: one directory, one process.
//
// It keeps rows in pebble, a log-structured engine (docs/decisions/0002 tells
// why), and is the only room that knows it. "The greatest version wins" is a
// merge of the engine: a write never reads, and the order of writes means
// nothing. Every batch is one atomic, synced entry of the engine's log. Blocks
// on disk carry checksums: damage is an error, never a wrong count. (One place is
// excepted: damage in the last batches of the log after a crash looks like a write
// that the crash cut short.) Memory is bounded by [Options], whatever the store holds.
//
// A disk that runs full is storage.ErrUnavailable, and work goes on when there
// is space again. A write to disk that fails half-way cannot be repeated safely:
// the process ends with a panic, and the next Open recovers what was synced.
//
// Start reading at [Store.Apply], then keys.go, which says how rows look on disk.
package embedded
