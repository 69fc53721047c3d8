// Package letters is what operators see of dead letters and may do about them: records
// that were not counted, on the topics for rejected and for late ones. It lists and shows
// them, sends corrected ones to their topic again, and marks those that are dealt with.
//
// It promises to delete nothing and to change no letter. That a letter is dealt with is
// a record of its own behind it on the same partition, so it is kept as long and is gone no
// sooner. It is written after what was sent again was acknowledged: a crash between
// the two sends a click twice, which counts once, and never forgets one.
//
// A letter is named by where its record stands: topic/partition/offset. The same may
// lie there several times, after a crash of who wrote it; it is one letter here.
//
// [Letter] and [Filter] are plain data, and an [Edit] is pure. [Box] reads; start there.
package letters
