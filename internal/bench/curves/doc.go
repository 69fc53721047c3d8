// Command curves measures how the speed of counting depends on what there is to
// count and on how the work is spread, and draws it: an SVG and a CSV with every
// run for each curve, in docs/plots.
//
// The curves against ads, skew, repeats and the size of windows are of the cores
// alone: mapper, aggregator and reducer one after the other in this process, without a
// broker, by CPU time (cores.go). Those against shards, partitions and processes
// are of the released binary on a real Kafka, each run compared with the truth
// (spread.go).
//
// Start reading at curve in curve.go.
package main
