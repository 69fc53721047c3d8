package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The README's cluster section works word by word, in an empty directory.
func TestReadmeCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	script := strings.Join(commands(readme, "A cluster"), "\n") + "\n"
	if strings.Count(script, "\n") < 10 {
		t.Fatalf("the section has hardly a command: %q", script)
	}

	// Only what "make services" would have written differs: addresses, and the API's
	// port, which another test may have.
	dir := workshop(t)
	config := "kafka:\n  brokers: [" + kafkaServer(t).Addrs()[0] + "]\n  replication: 1\n  min_insync: 1\n  topic_prefix: readme\n" +
		"input:\n  topics: [readme-clicks]\nwatermark:\n  trusted_topics: [readme-clicks]\nsnapshots:\n  url: ./cluster-snapshots\n" +
		"cassandra:\n  hosts: [\"" + cassandraServer(t).Addr() + "\"]\n  replication: [\"datacenter1:1\"]\n  keyspace: readme\napi:\n  listen: " + freeAddr(t) + "\n"
	if err := os.WriteFile(filepath.Join(dir, "cluster.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := shell(ctx, t, dir, script+"wait\n")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\nequal\n") {
		for _, log := range []string{"mapper-1", "aggregator-1", "reducer-1", "writer-1", "api"} {
			b, _ := os.ReadFile(filepath.Join(dir, "cluster-data", log+".log"))
			t.Logf("last lines of %s:\n%s", log, b[max(0, len(b)-1500):])
		}
		t.Fatalf("%v\n%s", err, out)
	}
}
