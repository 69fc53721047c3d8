// Package board is where the parts of a role put what they last said of
// themselves, for people and metrics to read without disturbing them.
//
// A part's goroutine replaces its own slot's value as a whole; anyone may read
// it at any time. There is no lock. Start at [Board].
package board
