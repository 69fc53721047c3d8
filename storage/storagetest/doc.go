// Package storagetest holds the promises of storage.Store as tests, for every
// backend to pass.
//
// It promises that a backend that passes can stand wherever another does: the
// same batches in any order, any grouping and any number lead to the same
// answers. Start reading at [Run]; model.go is the slow, obvious store that
// answers are compared with.
package storagetest
