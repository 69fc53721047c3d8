// Command writer measures how many rows a second the stores take, as writers give
// them: each of some writers stores batches of counts of open minutes, every batch newer
// than the one before. It tries the settings that could matter, in turns on one real
// Cassandra and on the store inside the process, and prints medians beside those of
// the defaults, with the CPU of both sides per row.
//
// Start reading at setting in settings.go.
package main
