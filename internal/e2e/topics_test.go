package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTopics: the command makes what is missing, and says of each setting that was
// changed afterwards what is there and what should be.
func TestTopics(t *testing.T) {
	t.Parallel()
	brokers := kafkaServer(t).Addrs()
	o := look(t, brokers)
	prefix := fmt.Sprintf("topics-%d", topicsMade.Add(1))
	config := filepath.Join(t.TempDir(), "clickagg.yaml")
	text := fmt.Sprintf("kafka:\n  brokers: [%s]\n  topic_prefix: %s\n  replication: 1\n  min_insync: 1\n"+
		"aggregator:\n  shards: 3\ninput:\n  topics: [%[2]s-in, '%[2]s-more-*']\n  partitions: 2\n", brokers[0], prefix)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	out, errs, status := run(t, "topics", "check", "--config", config)
	if status != 1 || !strings.Contains(out, prefix+".shuffle") || !strings.Contains(out, "clickagg topics create") || !strings.Contains(errs, "do not fit") {
		t.Fatalf("before: status %d\n%s%s", status, out, errs)
	}
	out, errs, status = run(t, "topics", "create", "--config", config)
	for _, made := range []string{".shuffle: 3 partitions, 1 replicas", ".partials: 2", ".results: 4", ".rankings: 2", ".rejected: 1", ".late: 1", ".control: 1", ".status: 1", "-in: 2"} {
		if !strings.Contains(out, "made "+prefix+made) {
			t.Errorf("it did not say that it made %s", prefix+made)
		}
	}
	if status != 0 || !strings.Contains(out, prefix+"-more-*") {
		t.Fatalf("create: status %d\n%s%s", status, out, errs)
	}

	o.create(prefix+"-more-eu", 1, map[string]string{"message.timestamp.type": "CreateTime"})
	o.alter(prefix+".shuffle", "retention.ms", "60000")
	o.alter(prefix+".partials", "cleanup.policy", "compact")
	o.alter(prefix+".results", "max.message.bytes", "1000")
	o.alter(prefix+".late", "retention.ms", "100000000")
	if out, _, status = run(t, "topics", "create", "--config", config); status != 1 || strings.Contains(out, "made "+prefix) {
		t.Errorf("create again: status %d\n%s", status, out)
	}
	out, _, status = run(t, "topics", "check", "--config", config, "-o", "json")
	var answer struct {
		Fits     bool
		Findings []struct{ Topic, Severity, Setting, Found, Wanted, Why, Cure string }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || status != 1 || answer.Fits {
		t.Fatalf("status %d, %v\n%s", status, err, out)
	}
	var got []string
	for _, f := range answer.Findings {
		got = append(got, strings.TrimPrefix(f.Topic, prefix)+" "+f.Setting+" "+f.Found+" "+f.Severity)
	}
	want := []string{
		".shuffle retention.ms 1m breaks exactness", ".partials cleanup.policy compact breaks exactness",
		".results max.message.bytes 1000 breaks exactness", ".late retention.ms 27h46m40s advice",
		"-more-eu message.timestamp.type CreateTime breaks exactness",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// Each cure is a command of Kafka's; what it sets puts the finding right.
	for _, f := range answer.Findings {
		_, setting, ok := strings.Cut(f.Cure, "--entity-name "+f.Topic+" --add-config ")
		key, value, _ := strings.Cut(setting, "=")
		if !ok || !strings.HasPrefix(f.Cure, "kafka-configs.sh --bootstrap-server "+brokers[0]) {
			t.Fatalf("no command: %+v", f)
		}
		o.alter(f.Topic, key, value)
	}
	if out, errs, status = run(t, "topics", "check", "--config", config); status != 0 || out != "topics: ok\n" {
		t.Errorf("put right: status %d\n%s%s", status, out, errs)
	}
	if out, errs, status = run(t, "topics", "check", "--config", config, "--aggregator.shards", "5"); status != 1 || !strings.Contains(out, "set aggregator.shards to what it was") {
		t.Errorf("other shards: status %d\n%s%s", status, out, errs)
	}
	if out, errs, status = run(t, "topics", "check", "--kafka.brokers", freeAddr(t)); status != 3 {
		t.Errorf("nobody there: status %d\n%s%s", status, out, errs)
	}
	if out, errs, status = run(t, "topics", "check"); status != 2 || !strings.Contains(errs, "kafka.brokers is empty") {
		t.Errorf("no cluster: status %d\n%s%s", status, out, errs)
	}
}

// alter sets a setting of a topic, and waits until the broker has it.
func (o *looker) alter(topic, key, value string) {
	o.t.Helper()
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = key, &value
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeTopic, topic, append(r.Configs, c)
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, r)
	answer, err := request.RequestWith(limited(o.t), o.Client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Resources[0].ErrorCode)
	}
	if err != nil {
		o.t.Fatalf("%s: set %s=%s: %v", topic, key, value, err)
	}
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{key}
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Resources = append(describe.Resources, resource)
	o.settle(topic+": "+key, func(ctx context.Context) error {
		answer, err := describe.RequestWith(ctx, o.Client)
		if err != nil {
			return err
		}
		if c := answer.Resources[0].Configs; len(c) != 1 || c[0].Value == nil || *c[0].Value != value {
			return fmt.Errorf("it is not %s yet", value)
		}
		return nil
	})
}
