// Package roll adds the counts of windows up to hours and days in the store, so that
// questions about long ranges read little.
//
// It promises that a roll-up is what the sum over its windows is, or is not answered from:
// it is made when all its windows are closed for good, and bears as its version what the store
// knew of later changes to them before the first was read (storage.VersionOf). A crash, a second
// roller and a repetition change nothing: the same windows give the same rows. Changed hours
// are rolled up again. Memory is bounded by [Config].
//
// docs/decisions/0016 tells why it works on the store and not in the stream. Start reading at [Roller.Run].
package roll
