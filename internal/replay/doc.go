// Package replay counts the clicks of closed windows once more and puts in order what is stored
// of them.
//
// It promises that what is published is what a recount by the pipeline's own cores comes to, that it
// is published as a whole by package correct, and that nothing is when the recount cannot be known to be exact and nobody
// said that it may. It holds one window in memory and takes no part in counting live: it reads, compares
// and hands differences on.
//
// Start reading at [Replayer.Run].
package replay
