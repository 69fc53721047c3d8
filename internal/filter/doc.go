// Package filter says which clicks a named filter counts: it compiles
// predicates such as
//
//	country == "KR" and ip in cidr("10.0.0.0/8")
//
// checks their types, and asks many of them of one click at once.
//
// The grammar is that of github.com/expr-lang/expr, read by its own parser; what
// is compiled here is the part of the language that has a plain meaning over the
// fields of one click. Everything else is an [Error] that names it, with its line
// and column.
//
// One rule holds for a field that a click lacks: a test that reads it is false.
// `!=` and `not in` are the opposites of `==` and `in`, and so true. The test
// `field == nil` tells whether it is lacking. A value of another type than the
// field's counts as lacking.
//
// The same predicate says the same of the same click, always: no clock, no
// randomness, no state. A [Set] asks every distinct test at most once per click,
// answers comparisons of one text with constants for all filters by one look-up,
// and allocates nothing.
//
// Start reading at [NewSet] and [Set.Match]; compile.go checks types, plan.go
// says how a set is asked.
package filter
