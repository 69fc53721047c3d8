// Package schedule says when something that is done again and again is due: every so often, or
// once a day.
//
// A [Schedule] is a function of the time alone, so that a process that was restarted, or another that has
// taken over, keeps it.
package schedule
