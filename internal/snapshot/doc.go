// Package snapshot keeps the state of a stage beside the log position it
// belongs to, in a blob store, and finds the newest one that is whole.
//
// A torn, damaged, foreign or missing snapshot is never an error: it only means
// that an older one is taken, or none, and that more of the log is read again.
package snapshot
