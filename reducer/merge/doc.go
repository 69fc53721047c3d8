// Package merge is the core of a reducer: it turns what the shards say of their
// windows into results, rankings and one watermark.
//
// It is a state machine over one partition of the partials topic. The same
// records at the same offsets give the same output to the byte, in every
// process, also when a state was written to a snapshot and restored in between.
// It knows no clock and no rules of its own, does no IO and starts nothing: time
// and rules come in with the partials, and what became due goes out where the caller
// asks for it.
//
// An ad that is spread over several shards has the sum of their newest shares.
//
// It promises that a partial counts once, however often the log repeats it; that
// an emission or a part of one missing from the log is found and never counted over; that a ranking
// is exact, called final once, and changed afterwards only with a higher
// revision; that the accounting identity is looked at wherever it can be; and that
// with each window that becomes final, or is corrected, goes out what it is made of.
//
// A correction, by a replay or a repair, is a record of the same partition. It changes only
// windows that were let go of, between the beginning and the end of its hold: see [Reducer.Correct].
//
// Start reading at [Reducer.Fold], then emit, where rankings leave.
package merge
