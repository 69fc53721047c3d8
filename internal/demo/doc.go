// Package demo shows clickagg at work: it starts the real binary with all roles
// in a temporary directory, sends it a stream of clicks, and shows live what it
// answers, or compares every answer with the generator's own truth.
//
// Start at [Run].
package demo
