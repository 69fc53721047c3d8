package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/bench"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/cassandra"
	"github.com/clickagg/clickagg/storage/embedded"
)

// options are the command line.
type options struct {
	rounds int
	long   time.Duration
	only   string
	synced bool
	warm   time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "runs of each setting, in turns")
	flag.DurationVar(&o.long, "long", 4*time.Second, "how long a run is")
	flag.StringVar(&o.only, "only", "", "settings with one of these words in their names, commas between, beside the defaults; empty is all")
	flag.BoolVar(&o.synced, "synced", false, "Cassandra syncs every write to disk before it acknowledges it, as in the tests of one node")
	flag.DurationVar(&o.warm, "warm", time.Minute, "how long Cassandra works before anything is measured")
	bench.Stores("writer", bench.Store{Name: "cassandra", Measure: o.cassandra}, bench.Store{Name: "embedded", Measure: o.embedded})
}

// cassandra measures a real one.
func (o *options) cassandra(ctx context.Context, w io.Writer) (err error) {
	node, err := servers.StartCassandra(ctx, servers.CassandraOptions{Quick: !o.synced})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	base := cassandra.Options{
		Hosts: []string{node.Addr()}, Keyspace: "bench", Replication: []string{"datacenter1:1"},
		CountsTTL: 24 * time.Hour, RankingsTTL: 24 * time.Hour, LineageTTL: 24 * time.Hour, RawTTL: 24 * time.Hour,
	}
	if err := cassandra.Apply(ctx, base, func(string) {}); err != nil {
		return err
	}
	open := func(s *setting) (place, error) {
		c := base
		c.InFlight, c.Tuning = s.inFlight, s.tuning
		store, err := cassandra.Open(ctx, c)
		if err != nil {
			return place{}, err
		}
		return place{store, store.Raw()}, nil
	}
	// The node's compiler needs a while to learn what is often done: until then rows
	// cost it twice as much.
	warm := cassandraSettings()[0]
	store, err := open(&warm)
	if err != nil {
		return err
	}
	_, _, err = work(ctx, store, warm.load, o.warm)
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	fmt.Fprintln(w, "Cassandra, one node; each row is written to two tables")
	return o.measure(ctx, w, cassandraSettings(), node.PID(), open)
}

// embedded measures the store inside the process, a new one for each run.
func (o *options) embedded(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "clickagg-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	runs := 0
	fmt.Fprintln(w, "the store inside the process; every batch is on disk before the next")
	return o.measure(ctx, w, embeddedSettings(), 0, func(*setting) (place, error) {
		runs++
		store, err := embedded.Open(filepath.Join(dir, fmt.Sprint(runs)), embedded.Options{})
		if err != nil {
			return place{}, err
		}
		return place{store, store.Raw()}, nil
	})
}

// place is where rows are stored, and raw records.
type place struct {
	storage.Store
	raw storage.RawStore
}

// measure runs the chosen settings in turns and prints the table. Server is the pid of
// the store's own process; 0 is none.
func (o *options) measure(ctx context.Context, w io.Writer, all []setting, server int, open func(*setting) (place, error)) error {
	table := bench.Table{Measures: []bench.Measure{{Name: "rows/s"}, {Name: "µs/row, here", Digits: 2}}}
	if server != 0 {
		table.Measures = append(table.Measures, bench.Measure{Name: "µs/row, server", Digits: 2})
	}
	for round := range o.rounds {
		for i := range all {
			// Each round begins elsewhere, so that what changes meanwhile favours nobody.
			i = (i + round*len(all)/o.rounds) % len(all)
			if i > 0 && !chosen(all[i].name, o.only) {
				continue
			}
			values, err := o.once(ctx, &all[i], server, open)
			if err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
			table.Add(all[i].name, values...)
		}
	}
	return table.Print(w)
}

// chosen tells whether a name has one of some words in it, which have commas between.
func chosen(name, words string) bool {
	return slices.ContainsFunc(strings.Split(words, ","), func(w string) bool { return strings.Contains(name, w) })
}

// once makes one run.
func (o *options) once(ctx context.Context, s *setting, server int, open func(*setting) (place, error)) (values []float64, err error) {
	store, err := open(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	pids := []int{os.Getpid()}
	if server != 0 {
		pids = append(pids, server)
	}
	before, err := usages(pids)
	if err != nil {
		return nil, err
	}
	var rows int64
	var took time.Duration
	if s.raw {
		rows, took, err = workRaw(ctx, store.raw, s.load, o.long)
	} else {
		rows, took, err = work(ctx, store, s.load, o.long)
	}
	if err != nil {
		return nil, err
	}
	after, err := usages(pids)
	if err != nil {
		return nil, err
	}
	values = []float64{float64(rows) / took.Seconds()}
	for i := range after {
		values = append(values, (after[i].CPU-before[i].CPU).Seconds()*1e6/float64(rows))
	}
	return values, nil
}

func usages(pids []int) (all []bench.Usage, err error) {
	for _, pid := range pids {
		u, err := bench.Of(pid)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}
