// Package control reads and writes the few facts all processes of an
// installation agree on, which live in the one-partition topic
// clickagg.control: its identity, the secret of its routing hash, how many
// shards and reducers there are, since when each input topic is live, which sources
// have begun and which topics were retired, which rules there were, up to which event time clicks may have been
// routed, which ads are spread over several shards from when on, and by which
// filters clicks are counted from when on.
//
// The log decides: of two records that state the same fact the first one
// counts, so processes that start at once agree without talking to each other. What
// is said of a hot ad or of filters holds from the end of what was opened before it in
// the log.
// Start reading at [Settle]; hot ads stand in hot.go, filters in filters.go.
package control
