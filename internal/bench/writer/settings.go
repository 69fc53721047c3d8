package main

import (
	"fmt"

	"github.com/clickagg/clickagg/storage/cassandra"
)

// setting is one way to store rows.
type setting struct {
	name string
	load load
	raw  bool // raw records are stored, as the role raw does

	inFlight int              // of Cassandra; 0 is the default
	tuning   cassandra.Tuning // of Cassandra
}

// load is what is stored.
type load struct {
	writers int // at once, each with ads of its own
	batch   int // rows of an Apply
}

// rawRecords is what the role raw does with four partitions.
var rawRecords = setting{name: "raw records of 130 bytes in batches of 4 MiB", load: load{writers: 4, batch: 18_000}, raw: true}

// usual is what a process does: it carries four partitions of results, and most
// rows are of a tick of a second.
var usual = load{writers: 4, batch: 10_000}

// cassandraSettings changes one thing at a time. The first is what others are compared with.
func cassandraSettings() []setting {
	all := []setting{{name: "defaults", load: usual}}
	vary := func(format string, values []int, set func(*setting, int)) {
		for _, v := range values {
			s := setting{name: fmt.Sprintf(format, v), load: usual}
			set(&s, v)
			all = append(all, s)
		}
	}
	vary("%d rows of a partition in a request", []int{1, 25, 50, 200, 400}, func(s *setting, v int) { s.tuning.RowsPerPartition = v })
	vary("%d rows of a node in a request", []int{1, 5, 20, 50, 100}, func(s *setting, v int) { s.tuning.RowsPerNode = v })
	vary("%d requests in flight", []int{8, 16, 32, 64, 256, 512}, func(s *setting, v int) { s.inFlight = v })
	vary("%d connections", []int{1, 4, 8}, func(s *setting, v int) { s.tuning.Connections = v })
	vary("%d writers", []int{1, 2, 8}, func(s *setting, v int) { s.load.writers = v })
	vary("%d rows in a batch", []int{1_000, 5_000, 20_000}, func(s *setting, v int) { s.load.batch = v })
	return append(all, rawRecords, setting{name: "compressed", load: usual, tuning: cassandra.Tuning{Compress: true}})
}

// embeddedSettings are of the store inside the process.
func embeddedSettings() []setting {
	all := []setting{{name: "defaults", load: usual}}
	for _, writers := range []int{1, 2, 8} {
		all = append(all, setting{name: fmt.Sprintf("%d writers", writers), load: load{writers, usual.batch}})
	}
	for _, batch := range []int{100, 1_000, 5_000, 20_000, 50_000} {
		all = append(all, setting{name: fmt.Sprintf("%d rows in a batch", batch), load: load{usual.writers, batch}})
	}
	return append(all, rawRecords)
}
