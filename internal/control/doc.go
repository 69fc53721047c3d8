// Package control reads and writes the few facts all processes of an
// installation agree on, which live in the one-partition topic
// clickagg.control: its identity, the secret of its routing hash, how many
// shards and reducers there are, since when each input topic is live, which sources
// have begun, and which rules there were.
//
// The log decides: of two records that state the same fact the first one
// counts, so processes that start at once agree without talking to each other.
// Start reading at [Settle].
package control
