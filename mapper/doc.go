// Package mapper is the map role: it reads clicks, has them judged by
// mapper/rule, and hands them to the shards in sections that name their origin.
//
// It promises that every offset of a source reaches every shard in order and at
// least once, and that the position of a source is committed only after every
// shard's partition has acknowledged a section that ends there. A mapper that
// is killed, doubled or woken as a zombie repeats sections; the shards drop them.
//
// A source has one owner after the other, in this process or another. Each has a term
// above those before it, which shards know them by, and judges by the rules of the one
// before, unless that one ended in order: begin.go says why that is exact. What time
// it is the brokers say. The machine's clock only paces what may come at any pace.
//
// No click is routed before its minute is open: open.go says why all then agree on
// which shards its ad has.
//
// One source partition is one goroutine: [Mapper.Source] is its whole life. Start there.
package mapper
