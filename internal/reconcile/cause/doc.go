// Package cause finds out why a stored count is not what the records of its clicks come to.
//
// What is known of a count is how many clicks it has and the digest of their identities,
// so two lots of clicks can be told apart and not taken apart. [Explain] looks among the clicks that
// the records do have, counted or not, for those that make up the difference: a repeat that was counted, a late
// click that was added. What nothing makes up is missing on one side or the other.
//
// Start reading at [Explain].
package cause
