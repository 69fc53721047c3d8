// Package progress shows how far a long command is: a bar on a terminal, a
// plain line every few seconds elsewhere.
//
// It promises to start no goroutine, to write only to the writer it was given,
// and to let no control character of someone's input through to a terminal.
// Start reading at [Start].
package progress
