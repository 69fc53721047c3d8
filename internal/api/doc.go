// Package api answers questions over HTTP: how many clicks an ad got, which ads
// got the most, every stored count, what the counts of a window are made of, which
// filters there are, and how the process is. A stream tells what changes.
//
// It promises that a question is answered whole or refused with a problem
// (RFC 9457) that names what is wrong: an unknown or repeated parameter is
// refused, since a typo must not change an invoice; a store that is away is a
// 503 and never an empty answer; a stream that cannot be finished is cut, so
// that no reader takes a part for the whole. Everything a client can make the
// server hold is limited. Who asks is known before anything is looked up (access.go), and every
// route says whom it is for. Where nobody is asked, on a loopback address only loopback names are
// accepted as Host, so that no web page reaches the API through a reader's browser.
//
// openapi.yaml describes all of it, and the tests hold both to each other.
//
// Start reading at [Server.ServeHTTP], then the routes in route.go. The types of
// the answers are in answers.go, minute.go, live.go, lineage.go, filters.go and status.go; package client reads them.
package api
