// Package memory is a [stream.Log] without a broker, for the tests of the stages
// and of what stands around them. It keeps the promises of stream.Log, which
// streamtest checks; it never fails unless told to by a hook.
package memory
