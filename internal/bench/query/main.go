package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/cassandra"
	"github.com/clickagg/clickagg/storage/embedded"
)

// options are the command line.
type options struct {
	ads, hours, clicks int
	zipf               float64
	clients            int
	long               time.Duration
	dir                string
}

func main() {
	var o options
	flag.IntVar(&o.ads, "ads", 100_000, "distinct ads")
	flag.IntVar(&o.hours, "hours", 24, "hours of clicks")
	flag.IntVar(&o.clicks, "clicks", 6_000, "clicks in a minute")
	flag.Float64Var(&o.zipf, "zipf", 1.1, "exponent of the ads' popularity")
	flag.IntVar(&o.clients, "clients", 16, "clients that ask at once, each again when it is answered")
	flag.DurationVar(&o.long, "long", 10*time.Second, "how long each question is asked")
	flag.StringVar(&o.dir, "dir", "", "directory to keep the stores in, filled, for another run; empty fills new ones")
	bench.Stores("query", bench.Store{Name: "embedded", Measure: o.embedded}, bench.Store{Name: "cassandra", Measure: o.cassandra})
}

// embedded measures the store inside the process.
func (o *options) embedded(ctx context.Context, w io.Writer) (err error) {
	k, err := o.keep("embedded")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	s, err := embedded.Open(filepath.Join(k.dir, "store"), embedded.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Fprintln(w, "the store inside the process")
	return o.measure(ctx, w, s, &k)
}

// cassandra measures a real one.
func (o *options) cassandra(ctx context.Context, w io.Writer) (err error) {
	k, err := o.keep("cassandra")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	node, err := servers.StartCassandra(ctx, servers.CassandraOptions{Dir: k.dir, Quick: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Stop(), node.Close()) }()
	c := cassandra.Options{Hosts: []string{node.Addr()}, Keyspace: "bench", Replication: []string{"datacenter1:1"}}
	if err := cassandra.Apply(ctx, c, func(string) {}); err != nil {
		return err
	}
	s, err := cassandra.Open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Fprintln(w, "Cassandra, one node")
	return o.measure(ctx, w, s, &k, node.PID())
}

// measure asks a store, which it fills first and asks before its hours are added up unless it was kept.
func (o *options) measure(ctx context.Context, w io.Writer, s storage.Store, k *kept, servers ...int) error {
	if !k.filled {
		began := time.Now()
		rows, err := o.fill(ctx, s)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d counts of %d ads in %d hours, stored in %v\n", rows, o.ads, o.hours, time.Since(began).Round(time.Second))
		if err := o.ask(ctx, w, s, "minutes only", servers...); err != nil {
			return err
		}
		began = time.Now()
		if err := errors.Join(rollUp(ctx, s), k.done()); err != nil {
			return err
		}
		fmt.Fprintf(w, "added up in %v\n", time.Since(began).Round(100*time.Millisecond))
	}
	return o.ask(ctx, w, s, "with hours", servers...)
}
