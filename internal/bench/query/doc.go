// Command query measures how soon the API answers while many ask: counts of an ad over
// an hour, and the most clicked ads of an hour and of a day, over HTTP, from a store with a
// day of clicks of many ads. It does so with the store inside the process and with a real
// Cassandra, before and after hours are added up, and prints medians and 99th percentiles.
//
// Filling Cassandra takes minutes; with -dir it is done once, and what is kept is asked with its hours added up.
//
// Clients and API share the process, and with Cassandra the machine. Start reading at
// questions in ask.go.
package main
