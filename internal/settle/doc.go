// Package settle waits until what was sent to a topic is in the store: it
// follows the clicks through every stage by the positions the stages show.
//
// A watermark alone cannot tell: a click that only corrects a window, or repeats
// another, moves none. Start at [Wait].
package settle
