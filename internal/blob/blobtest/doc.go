// Package blobtest is the contract of [blob.Store], run against every
// implementation. Start reading at [Run].
package blobtest
