// Package bench holds what the benchmarks of whole processes have in common:
// what a process has used of the machine, a table of medians and ratios, and
// clickagg itself at work, alone or on real servers.
//
// Start reading at [Of], [Table] and [Install].
package bench
