// Package status tells how the parts of an installation are, wherever they run.
//
// Every part says of itself how far it is: an [Entry]. A process collects those of
// its own parts ([Mapper], [Aggregator], [Reducer], [Stored]) and, in a cluster,
// appends them to the status topic once a second ([Publish]); whoever answers
// questions follows that topic ([Follow]). [Merge] puts entries together into what
// the API shows. What a part says may be old, never ahead: positions are said after
// what they stand for is acknowledged.
//
// Start reading at Merge.
package status
