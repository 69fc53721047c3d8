// Package pipeline runs the real binary over a stream of clicks and measures it:
// from its start to the last result, with the processor time it took.
//
// It promises that a run ends with every minute final and every count compared
// with the truth, or with an error. With the addresses of a Kafka the clicks are in the
// topic before anything starts, and the processes run what it takes to get
// results out of them; without, they are sent to the broker inside the one process
// while it counts and stores.
//
// Start reading at [Preload] and [Measure].
package pipeline
