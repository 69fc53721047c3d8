// Package embedded is the broker inside the process: a Kafka broker in small,
// on one machine and one directory, reached over TCP like any other.
//
// It promises what clickagg needs of a broker and the engine below it (kfake of
// franz-go) does not promise by itself: every record carries this broker's
// append time, offsets never begin again, records leave the disk only when they
// are expired or given up, memory does not grow with the log, and no bytes that
// arrive on the port end the process. What reaches the disk when is said at
// [Config].
//
// It has no transactions and no replicas, does not compact, and does not ask who
// is there: it listens on the loopback interface unless told otherwise.
//
// Start reading at [Start]; stamp.go and wire.go keep the append time.
package embedded
