// Package carry takes one partition of a log into a store: the part that every
// role which stores what it reads has in common.
//
// It promises that everything before a committed position is stored, or lies on the
// topic for rejected records, and that nothing is skipped: while the store is away it waits,
// and a record that no store can take is put aside, which stops no other. Many such in a
// row stop it: then something else is wrong. A position is worth something only together with the topic and the
// store it was made with, so it names both; where either is another one, or the
// log does not hold what should come next, that is a proven loss and not a new
// beginning.
//
// One goroutine per partition, no locks; the goroutine is the caller's. Start
// reading at [part.step].
package carry
