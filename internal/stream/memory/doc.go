// Package memory is a log without a broker, for the tests of the stages and of
// what stands around them. It keeps the promises a stage relies on: order, no gap
// and no repetition, bounds, and positions. It places keys by a hash of its own,
// and never fails unless a hook tells it to.
package memory
