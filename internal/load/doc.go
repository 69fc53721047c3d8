// Package load brings clicks in: a file or standard input to a topic, and
// synthetic clicks to a file or a topic. It is what the commands produce and
// generate do.
//
// It promises that every line is judged by the mapper's own decoder before it
// is sent, that a bad line is named with file, line and reason and costs only
// itself, that the order of a file is the order within each partition, and that
// memory is bounded whatever the input unpacks to. What a report calls sent, the
// log has acknowledged.
//
// Start reading at [Produce]; [Generate] is the same with clicks of internal/gen.
package load
