// Package bench holds what the benchmarks of whole processes have in common:
// what a process has used of the machine, and a table of medians and ratios.
//
// Start reading at [Of] and [Table].
package bench
