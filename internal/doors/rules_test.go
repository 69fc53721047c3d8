package doors

import (
	"strings"
)

const module = "github.com/clickagg/clickagg/"

// stages never import each other, nor anything below each other: they meet in
// the log and in the store. Only one pure room may lean on another.
var stages = []string{"mapper", "aggregator", "reducer", "storage/raw", "storage/roll", "storage/writer"}

// pureRooms compute and nothing else: the same input gives the same bytes.
var pureRooms = []string{"internal/assign", "internal/audit", "internal/calendar", "internal/click", "internal/filter", "internal/nearest", "internal/rank", "internal/reconcile/cause", "internal/schedule", "mapper/rule", "aggregator/window", "reducer/merge"}

// pureStd is what a pure room may import of the standard library, with
// everything below it: no clock, randomness, goroutine, log or IO. Of time it
// may use the arithmetic; see impureTime.
var pureStd = []string{
	"bytes", "cmp", "container", "encoding", "errors", "fmt", "hash", "io", "iter", "maps", "math", "net/netip",
	"regexp", "slices", "sort", "strconv", "strings", "time", "unicode", "unsafe",
}

// notPureStd is taken out of pureStd again.
var notPureStd = []string{
	"hash/maphash", // another seed in each process: two aggregators would route differently
	"math/rand", "math/rand/v2",
	"encoding/gob",       // type ids depend on what was registered before
	"io/fs", "io/ioutil", // io itself is words only: io.EOF, io.Reader
}

// pureModules are the libraries a pure room may use.
var pureModules = []string{"github.com/zeebo/xxh3", "github.com/expr-lang/expr"}

// impureTime is what a pure room may not use of package time: it asks the
// clock, waits for it, or reads the machine's zone files.
var impureTime = []string{
	"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Local", "LoadLocation",
}

// judges are the rooms of ours that config may ask whether a value will do: they open
// nothing.
var judges = []string{"internal/access", "internal/filter", "internal/nearest", "internal/schedule"}

// homes says where a library lives: the only rooms that may import it.
var homes = []struct {
	library string
	rooms   []string
}{
	{"github.com/segmentio/kafka-go", []string{"internal/stream/kafka"}},
	{"github.com/twmb/franz-go", []string{"internal/stream/embedded"}},
	{"github.com/spf13/viper", []string{"config"}},
	{"github.com/spf13/cobra", []string{"cmd"}},
	{"github.com/spf13/pflag", []string{"cmd"}},
	{"github.com/cockroachdb/pebble", []string{"storage/embedded"}},
	{"go.etcd.io/bbolt", []string{"storage/embedded"}},
	{"github.com/dgraph-io/badger", []string{"storage/embedded"}},
	{"github.com/gocql/gocql", []string{"storage/cassandra"}},
	{"github.com/parquet-go/parquet-go", []string{"internal/archive"}},
	{"github.com/minio/minio-go", []string{"internal/blob/s3"}},
	{"github.com/coreos/go-systemd", []string{"internal/ops"}},
	{"github.com/expr-lang/expr", []string{"internal/filter"}},
	{"github.com/google/pprof", []string{"internal/bench/profile"}},
	{"github.com/apache/cassandra-gocql-driver", []string{"storage/cassandra"}},
}

// lookers are rooms whose tests may use any client, to look at real servers.
var lookers = []string{"internal/e2e", "internal/stream/embedded"}

// commands are the rooms that are programs.
var commands = []string{
	"cmd", "internal/servers/local", "internal/bench/peers", "internal/bench/latency", "internal/bench/state",
	"internal/bench/profile", "internal/bench/curves", "internal/bench/writer", "internal/bench/query",
}

// forTests are rooms that only tests and benchmarks import. They may use any
// client as well.
var forTests = []string{"internal/browser", "internal/servers", "internal/bench"}

// benchmarks are rooms whose programs run the product from outside, as tests do.
var benchmarks = []string{"internal/bench"}

// lengths, in lines. They are not taste: well-kept programs of this kind stay
// under them without trying.
const (
	longestFile     = 600
	longestTestFile = 800
	longestFunc     = 80
)

// topLevel is all that stands at the top, beside files that begin with a dot.
var topLevel = []string{
	"cmd", "mapper", "aggregator", "reducer", "storage", "config", "internal", "deploy", "docs",
	"go.mod", "go.sum", "Makefile", "README.md", "LICENSE",
}

// selfSpeaking methods need no comment: each says what it says everywhere.
var selfSpeaking = []string{"Error", "String", "Unwrap"}

// unfinished words belong into an issue.
var unfinished = []string{"TODO", "FIXME", "XXX"}

// within tells whether a slash-separated path is one of the roots or lies below it.
func within(path string, roots ...string) bool { return root(path, roots) != "" }

// root returns the one of the roots that a path is or lies below.
func root(path string, roots []string) string {
	for _, r := range roots {
		if path == r || strings.HasPrefix(path, r+"/") {
			return r
		}
	}
	return ""
}
