// Package cassandra is the store of a cluster: a keyspace of Apache Cassandra
// (4.1 or newer). It is the only room that knows the driver.
//
// "The greatest version wins" is Cassandra's own rule of timestamps: a write
// carries its window's start plus its version, so a write never reads, may be
// repeated at will, and arrives in any order. Nothing is deleted and nothing is
// counted up; rows end by their time to live. A row is written as a whole under
// one timestamp and so read as a whole; a batch is not: its rows appear one by
// one, its marks after all its rows. What was not acknowledged in time is
// storage.ErrUnavailable, and applying the batch again is safe.
//
// With consistency local_quorum (the default) whoever reads in the same data
// centre after Apply returned sees what it stored. With one or local_one that is
// not promised, neither for counts nor for marks.
//
// What Apply returned for is in the memory of as many replicas as the consistency
// says, and on their disks as commitlog_sync says: with Cassandra's default
// (periodic, 10 s) a crash of all of them at once loses the last seconds, with batch
// nothing. The crash of one loses nothing with local_quorum and three replicas.
//
// The tables are numbered CQL files in schema/, which say why each is as it is.
// [Apply] brings a keyspace up to them, [Check] says what is missing, and [Open]
// refuses a keyspace that is behind.
//
// Start reading at [Store.Apply], then key.go, which says where a row lives.
package cassandra
