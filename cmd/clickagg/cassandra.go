package main

import (
	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/storage/cassandra"
)

// cassandraOptions says where the store of a cluster is. The owner and the logger
// are the caller's.
func cassandraOptions(cfg config.Config) cassandra.Options {
	c := cfg.Cassandra
	return cassandra.Options{
		Hosts: c.Hosts, Keyspace: c.Keyspace, Datacenter: c.Datacenter, Replication: c.Replication,
		Consistency: c.Consistency, User: c.User, Password: c.Password.Reveal(),
		TLS: cassandra.TLS{
			Enabled: c.TLS.Enabled, CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile,
			ServerName: c.TLS.ServerName,
		},
		CountsTTL: c.CountsTTL, RankingsTTL: c.RankingsTTL, LineageTTL: c.LineageTTL, RawTTL: c.RawTTL, InFlight: c.InFlight, Timeout: c.Timeout,
	}
}
