// Package gen makes synthetic clicks and knows the right answer to them.
//
// It promises that one seed gives the same bytes on every machine, that every
// event says what a correct pipeline makes of it (counted, duplicate, conflict
// or rejected, and why), and that no event is ever too late to be counted: what
// comes behind its time, and what comes again, stays within [MaxLag].
//
// Start reading at [Options], then [Generator.Next]; [Truth] collects the
// answer, [Counts] reads and writes it in the form of `clickagg export counts`,
// and [Compare] tells two answers apart.
package gen
