// Command latency measures how long after its acknowledgement by the broker a click
// is visible in the query API, provisionally and finally, while clicks come in at a
// steady rate.
//
// What makes the figures honest: the load keeps to its schedule whatever the
// answers, and what it falls behind is told. Probes are clicks of ads of their own,
// sent at times of their own between the load's, so that a count of one says that
// this click was counted and nothing else. Each is asked for over HTTP until it
// shows; the time at which the answer was read counts, so that figures are greater
// than the truth by at most the pause between two questions, which is told as well. A
// probe that never shows is a failure and not left out. A final count is measured from
// the acknowledgement of the click with which the last source partition let its
// watermark pass the window's end. In the end every click that was acknowledged must
// be in the accounts.
//
// Start reading at [run].
package main
