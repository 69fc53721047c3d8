// Package stream says what a stage needs of a log: to read one partition in
// order from an offset, to append and know that it was kept, to remember a
// position, and to know a log's bounds and identity.
//
// Every stage is one goroutine over these few calls and holds no lock; what
// needs concurrency (prefetching, several brokers at once) lives behind them.
// The promises stand at each method of [Log] and [Reader], and streamtest checks
// them on every implementation. internal/stream/kafka is the only one that
// speaks Kafka; internal/sim has one that fails on purpose.
package stream
