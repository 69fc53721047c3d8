// Package access decides who may ask the API what, and how often.
//
// Who asks is known by a bearer token, of which only a hash is kept, or by a client
// certificate. It promises that comparing a token takes the same time whatever is
// wrong with it, that what one may see is decided by its grant alone and never by
// what is stored, and that memory is bounded whoever asks. Start reading at [Door.Enter].
package access
