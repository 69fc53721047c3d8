// Package doors holds the rooms to the rules of the house: who may import whom,
// what a pure room may do, how long a file may be, and what stands at the top of
// the repository.
//
// It promises that a broken rule fails a test with the file, the line and the
// rule. It is tests only, and reads the source files themselves, since a listing
// of packages would go stale in the test cache. The rules are tables at the top
// of rules_test.go; start reading there.
package doors
