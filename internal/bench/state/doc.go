// Command state measures what the state of many ads and event ids costs: memory, and
// the size, time and pause of a snapshot, and the time until a new process counts on
// from it.
//
// It drives the shards themselves, with sections as mappers send them and nothing
// else around, all shards of an installation in one process: so its resident memory
// is that of the state, and the pauses are those of the snapshot alone. Snapshots are
// written to a directory by the same code that the aggregator has. The restart is that
// of a new process of this program, timed from before it is started.
//
// Start reading at [measure].
package main
