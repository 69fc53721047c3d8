// Command local runs a Kafka broker and a Cassandra node on this machine, to try a
// cluster of clickagg on: make services. It writes a configuration that names
// them, and ends both, with all they hold, when it is interrupted.
package main
