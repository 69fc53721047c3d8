// Package blob keeps named, whole, immutable byte strings: the snapshots of the
// stages' state, and archived clicks. A blob is either there whole or not at all.
package blob
