package cassandra

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table is what the servers know of one.
type table struct {
	ttl        int // seconds, 0 is for ever
	compaction map[string]string
}

// kept is a table of ours and what its options must be.
type kept struct {
	name    string
	ttl     time.Duration
	windows bool // whether files are put together by time
}

// kept lists the tables. Those that lead to rows live as long as any of these.
func (o Options) kept() []kept {
	days := max(o.CountsTTL, o.RankingsTTL)
	if o.CountsTTL == 0 || o.RankingsTTL == 0 {
		days = 0
	}
	return []kept{
		{name: "store"}, {name: "marks"},
		{"counts", o.CountsTTL, true}, {"windows", o.CountsTTL, true}, {"starts", o.CountsTTL, true},
		{name: "days", ttl: days}, {"rankings", o.RankingsTTL, true},
		{"lineage", o.LineageTTL, true}, {"raw", o.RawTTL, true}, {"raw_buckets", o.RawTTL, true},
		{name: "filters"},
		{name: "rollups", ttl: o.CountsTTL}, {name: "touches", ttl: o.CountsTTL},
		{"lists", o.RankingsTTL, true},
	}
}

func (k *kept) seconds() int { return int(k.ttl / time.Second) }

func (k *kept) live() string {
	return fmt.Sprintf("ALTER TABLE %s WITH default_time_to_live = %d", k.name, k.seconds())
}

// tablesOf lists the tables of the session's keyspace.
func tablesOf(ctx context.Context, s *session) (map[string]table, error) {
	it := s.Query(`SELECT table_name, default_time_to_live, compaction FROM system_schema.tables WHERE keyspace_name = ?`, s.keyspace).
		WithContext(ctx).Iter()
	tables := map[string]table{}
	for {
		var name string
		var t table
		if !it.Scan(&name, &t.ttl, &t.compaction) {
			return tables, translate(it.Close())
		}
		tables[name] = t
	}
}

// replicationOf reads how a keyspace is kept; nil when there is none.
func replicationOf(ctx context.Context, s *session, keyspace string) (map[string]string, error) {
	it := s.Query(`SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?`, keyspace).WithContext(ctx).Iter()
	var replication map[string]string
	it.Scan(&replication)
	return replication, translate(it.Close())
}

const (
	topology    = "NetworkTopologyStrategy"
	timeWindows = "TimeWindowCompactionStrategy"
)

// makeKeyspace is the statement that makes the keyspace.
func makeKeyspace(keyspace string, list []replicas) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': '%s'", keyspace, topology)
	for _, r := range list {
		fmt.Fprintf(&b, ", '%s': %d", r.dc, r.n)
	}
	return b.String() + "}"
}

// sayReplication writes a keyspace's replication as the options do.
func sayReplication(have map[string]string) string {
	class := short(have["class"])
	var words []string
	if class != topology {
		words = append(words, class)
	}
	for _, dc := range slices.Sorted(maps.Keys(have)) {
		if dc != "class" {
			words = append(words, dc+":"+have[dc])
		}
	}
	return strings.Join(words, ",")
}

func wantReplication(list []replicas) string {
	var words []string
	for _, r := range list {
		words = append(words, r.dc+":"+strconv.Itoa(r.n))
	}
	return strings.Join(words, ",")
}

// short is a Java class without its package.
func short(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }
