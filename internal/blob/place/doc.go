// Package place opens the place where snapshots or archived clicks are kept: a directory, or a bucket
// of an object storage, as its URL says.
package place
