// Package click holds the words every room speaks and how they look on the
// wire: sources, sections, partials, results, rankings, lineages and
// marks.
//
// It promises that decode∘encode is the identity, that a decoder given any
// bytes returns an error and never panics, and that two encodings of one value
// are equal to the byte, in every process and in every run. A binary decoder,
// and that of lineages, takes no other bytes for a value than those its encoder
// writes; the JSON of results and rankings, which says one thing in many ways, is read
// as others may write it. Sections and partials open with a version byte; a decoder
// refuses a version it does not know.
//
// Start reading at [Section], the unit in which the mapper hands clicks to the
// shards, then [Partial], what a shard says of its windows, then [Result].
package click
