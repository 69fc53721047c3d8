// Package window counts: it is the state machine of one shard over its
// partition of the shuffle topic, with windows, watermarks, duplicates, ranked
// lists and snapshots.
//
// It promises that a shard is a pure function of its log: the same prefix of
// sections gives the same state and the same bytes out, in every process, also
// when the shard was restored from a snapshot on the way. It reads no clock and no
// rules of its own; time and rules enter with the sections. How its tables lie in
// memory has no influence on any verdict, count or byte.
//
// It counts a click once. A click is a repeat if and only if a click of the same
// identity is remembered in a window whose start differs from its own by no more
// than the horizon. It never counts on over a loss: a section that starts above
// the next offset expected of its source is refused with a [Gap].
//
// It lets go of a window when every source has closed it for good, and forgets an
// id when no click that a source may still send can repeat it. So rules that
// change never take back what a source was promised.
//
// What it counts of an ad that is spread over several shards it tells apart, as a
// share: all shares of a window it speaks of, whatever their rank. Which ads those
// are stands in the sections.
//
// It counts a click under each filter that it passed as well. What a mask's bits mean stands
// beside the clicks, and counts are said by the filter's identifier, so that other
// filters may follow at any time. Only rows that are news are said; with a window that becomes
// final, all.
//
// Its memory is bounded by the rules' MaxIDs and MaxAds: a click takes no more than one
// id and one cell, whatever filters there are. It holds next to no pointers, and is
// given back when the load goes.
//
// Start reading at [Shard.Fold]; ids.go, counts.go and masked.go are the hot path.
package window
