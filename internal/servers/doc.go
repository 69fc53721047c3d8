// Package servers starts real Apache Kafka and Apache Cassandra for tests: on
// loopback, from their Maven artifacts, without containers. It needs Java 17 and
// Maven.
//
// It promises that a server which was started answers a client's real request,
// that it keeps its ports and its directory however often it is killed and started
// again, and that it ends with Close. On Linux it also ends when the test's process
// is killed. An error holds the last lines of the server's log. Nothing but tests
// and benchmarks imports it.
//
// Start reading at [StartKafka] and [StartCassandra].
package servers
