// Package client asks the API questions: it is how the command line, and tests,
// speak to a running clickagg.
//
// It promises that every call ends when its context ends, or when the API does
// not answer or goes quiet; that what the API refuses comes back as [Refused]
// with the API's own words; and that an export that broke off is an error and
// never a short answer. Start reading at [New].
package client
