// Package rank says in which order ads stand in a ranked list, and keeps the first of
// many: greater count first, then the ad whose bytes come first.
//
// It is pure. Start reading at [First].
package rank
