// Package correct changes counts of windows that are closed for good: what a replay or a
// repair found to be otherwise.
//
// [Compare] finds the difference between what is stored of a window and what should be; it is
// pure. A [Publisher] has a [Job] take differences in, and then publishes them as a whole: it
// says in the partials topic that a hold begins, waits until the store knows, says
// the changes, waits until the store shows all of them, and says that the hold ends. Whoever
// reads the store meanwhile is told that it is provisional.
//
// It promises that one correction is at work at a time, as the control topic says; that one which was
// broken off anywhere can be begun again, by anybody, from a new comparison; that what is published twice
// changes nothing; and that who was replaced says nothing that is heard. It holds one window in
// memory, and what it is to say in a file.
//
// Start reading at [Job.Publish].
package correct
