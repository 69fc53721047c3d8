// Package sim runs the whole pipeline, the real stages over an unkind log, store
// and blob store, under faults drawn from one seed, and recounts with an oracle.
//
// Every process is a coroutine that gives way at each call to the outside; one
// scheduler decides who goes on, what a call does, who is killed, who sleeps
// through its own replacement and comes back as a zombie. Time is virtual. Every
// decision goes through one [Chooser], where 0 is the kindest answer, so a seed
// is a whole history: the same seed gives the same run, instruction for instruction.
//
// Start reading at [Run]; the faults planted to test the test are in mutants.go.
package sim
