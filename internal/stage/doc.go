// Package stage runs a deterministic state machine over one partition of a log:
// it restores the newest snapshot, folds what the log holds after it, flushes
// what the machine has to say, and keeps the state from time to time.
//
// The order is the safety argument, and [run.turn] is the one place to read it:
// outputs acknowledged, then the snapshot, then the offset. A crash between any
// two only repeats work, because the machine says the same again and its readers
// know it by its origin. A position the log does not hold any more is a proven
// loss: the stage stops and says so, and never counts on. So is a log that is not the
// one the state was made from: a topic made again, another cluster behind the
// address, a tail that was cut off and written anew. A state therefore remembers its
// topic's id and the epoch of the leader that wrote what it read last.
package stage
