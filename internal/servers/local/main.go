package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/clickagg/clickagg/internal/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	file := "cluster.yaml"
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	if err := run(ctx, file); err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

const configuration = `# Made by "make services" for the servers it runs.
kafka:
  brokers: ["%s"]
  replication: 1
  min_insync: 1
cassandra:
  hosts: ["%s"]
  replication: ["datacenter1:1"]
snapshots:
  url: ./cluster-snapshots
watermark:
  trusted_topics: [clicks]
`

func run(ctx context.Context, file string) (err error) {
	fmt.Println("starting Kafka and Cassandra; the first time they are downloaded")
	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kafka.Close()) }()
	cassandra, err := servers.StartCassandra(ctx, servers.CassandraOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cassandra.Close()) }()
	text := fmt.Sprintf(configuration, kafka.Addrs()[0], cassandra.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	fmt.Printf("Kafka is at %s, Cassandra at %s; %s says so. Ctrl-C ends both.\n", kafka.Addrs()[0], cassandra.Addr(), file)
	<-ctx.Done()
	return nil
}
