// Package carry takes one partition of a log into a store: the part that every
// role which stores what it reads has in common.
//
// It promises that everything before a committed position is stored, and that
// nothing is skipped: while the store is away it waits, and what it cannot take
// stops it. A position is worth something only together with the topic and the
// store it was made with, so it names both; where either is another one, or the
// log does not hold what should come next, that is a proven loss and not a new
// beginning.
//
// One goroutine per partition, no locks; the goroutine is the caller's. Start
// reading at [part.step].
package carry
