// Package ops is what every process needs to be run by people: its log, the
// lock on its data directory, metrics and profiles on a listener of their own,
// and what build it is.
package ops
