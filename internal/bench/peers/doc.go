// Command peers races clickagg against Flink and Kafka Streams: make bench-peers.
// Each drains the same clicks from the same Kafka broker, one after the other and
// several times over, and every count and every ranked list of each is compared
// with the truth.
//
// It promises that a figure is printed only of a run whose answers were all right,
// and that all contestants met the same: the broker, the topic of clicks, its state
// in memory, two cores, and a reader that waits for the last result. It ends what
// it started.
//
// Start reading at main; clicks.go is the stream, check.go the comparison,
// contestants.go how each is started. The jobs of the others are in jobs/, in Java.
package main
