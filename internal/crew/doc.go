// Package crew runs one goroutine for each partition of a role that this process
// owns, while partitions move among the processes of the role's group.
//
// It promises that what does not move is not interrupted; that a partition which is
// lost and comes back is worked on by one goroutine at a time in this process; that
// a fault of any work ends all of it; and that when the process is told to stop,
// all work has ended, and has committed what it had to, before the process leaves the
// group, so that others go on from there. It does not promise that two processes never
// work on one partition: for moments they do, which is harmless, because what a stage
// says twice is dropped and the group takes commits of the owner only.
//
// Start reading at [Run]. [Alone] is the group of a process that shares with nobody.
package crew
