// Package recount counts clicks once more, from the records as they came: by the
// same judge ([rule.Partition]) and the same counter ([window.Shard]) that count
// them when they arrive, so that there is one meaning of a valid click.
//
// [Run] reads every source of an [Input] from as far before the range as a click of
// it can stand, follows event time over all of them, and hands out whole windows with
// their counts per ad and filter. It writes nothing and belongs to nobody's group: what counts
// live does not notice it but for what reading costs.
//
// Where it begins in the middle of a log, what was before is not known, and with it how
// far event time had come. It then judges twice, from the least and the greatest
// that it can have been, until both agree; clicks of which they say different things are
// counted in [Report.Unsure]. So an answer is known to be exact, or said not to be.
//
// Sources are read and judged by goroutines of their own ([Rules].Workers), each at most two turns ahead of the one that
// counts. That one takes turns by event time alone, so that it counts the same in the same order as without them. All turns
// together have a bounded number of records, however many sources there are.
//
// Start reading at [Run].
package recount
