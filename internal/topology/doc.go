// Package topology says which topics an installation needs, and compares them with
// those a cluster has.
//
// It promises that topics without a finding that [Breaks] keep counts exact: every
// record is kept by as many replicas as configured until everything that may need it
// has had it, carries the broker's time, and lies where its reader looks for it.
// It only compares; what it is given was looked up by others.
//
// Start reading at [Wanted] and [Compare].
package topology
