// Command profile tells where each microsecond of a click goes: it runs the real
// binary over a stream of clicks, takes CPU profiles of it all the while, and prints
// what each stage costs a click.
//
// A sample belongs to a stage by its stack, read from the innermost function
// outwards: the first function that some stage of stages.go claims. The runtime's
// copying and hashing thus belongs to whoever asked for it, its collector to itself.
// The shares are the profile's; the CPU per click that they are shares of is the
// kernel's.
//
// Start reading at stages in stages.go.
package main
