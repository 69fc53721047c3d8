// Package nearest tells how far two names are apart, so that a message about an
// unknown one can say which known one was probably meant.
package nearest
