// Package answer turns what a store holds into answers: how many clicks an ad
// got in a range of windows, which ads got the most, and what a window is made of.
//
// It promises exact answers. A ranked answer comes from the stored lists only
// when a bound on what no list shows proves it, and from a full scan otherwise;
// ties go to the ad whose bytes come first. An answer called final counts every
// window it names completely: the store is asked how far it is complete before
// it is asked for rows, so that a row that arrives in between can only make the
// answer better than it says. The package keeps no clock and no state.
//
// Start reading at [Reader.Count], then [Reader.Top].
package answer
