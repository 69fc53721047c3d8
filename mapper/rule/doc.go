// Package rule turns the raw records of one source partition into judged and
// routed clicks: it decodes, refuses what is no click, tells late from valid
// and puts each valid click into the section of its shard.
//
// It promises that what it says of a record depends on nothing but the records
// before it, the configuration and the time since which the topic is live: no
// clock, no randomness, no IO. Where it goes depends on the click, and on the shards
// its ad has in its minute, which is one fact for all who ever route it ([Partition.Open]). So a second reader of the same log says the same
// of each click. Whatever the bytes of a record are, it answers with a
// [Verdict]; every record is in the [click.Account] once.
//
// A good click costs no allocation. A record is JSON as RFC 8259 has it and
// stricter where leniency would let two programs read two different clicks:
// repeated keys, keys that differ by case and broken UTF-8 are refused.
//
// Start reading at [Partition], the state machine; what a record must look like
// begins at decode.go, event time at [Partition.Add], what survives a restart
// is [State].
package rule
