// Package raw is the stage that carries the records of the input topics into the
// raw store, all of them and untouched: clicks, what is none, and tombstones.
//
// What it stores is the truth that a replay starts from once the log has deleted
// it: key, value, headers and the broker's append time, by source and offset. It
// judges nothing. Aborted and control records are no records and are left out; so
// is a batch that nobody can read, which the mapper rejects. A crash or a second
// process on the same partition only repeats work, because the store knows a record
// by its place in the log.
//
// storage/carry says how it goes on after a crash and what it does while the store is
// away. Start reading at [Keeper.Source].
package raw
