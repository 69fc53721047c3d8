// Package streamtest checks that a log keeps the promises of package stream. It
// is run against every implementation.
//
// Start reading at [Run].
package streamtest
