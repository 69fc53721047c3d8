package topology_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/stream/kafka"
	"github.com/clickagg/clickagg/internal/topology"
)

// clustered is a configuration with a cluster of Kafka.
func clustered() config.Config {
	c := config.Default()
	c.Kafka.Brokers = []string{"kafka-1:9092", "kafka-2:9092"}
	return c
}

// fit are topics just as they are wanted.
func fit(c config.Config) (found []kafka.TopicState) {
	for _, t := range topology.Wanted(c, nil) {
		found = append(found, kafka.TopicState{
			Name: t.Name, Partitions: t.Partitions, Replication: int(t.Replication), Configs: maps.Clone(t.Configs),
		})
	}
	return found
}

func TestWanted(t *testing.T) {
	t.Parallel()
	c := clustered()
	c.Input.Topics = []string{"clicks-eu", "clicks-us*"}
	c.Aggregator.Shards, c.Reducer.Partitions, c.Input.Partitions = 12, 3, 6
	partitions := map[string]int32{}
	for _, s := range topology.Specs(topology.Wanted(c, []string{"clicks-us-east", "other"})) {
		partitions[s.Name] = s.Partitions
		if s.Replication != 3 || s.Configs["min.insync.replicas"] != "2" || s.Configs["message.timestamp.type"] != "LogAppendTime" {
			t.Errorf("%+v", s)
		}
	}
	want := map[string]int32{
		"clickagg.shuffle": 12, "clickagg.partials": 3, "clickagg.results": 4, "clickagg.rankings": 3, "clickagg.rejected": 1,
		"clickagg.late": 1, "clickagg.control": 1, "clickagg.status": 1, "clicks-eu": 6, "clicks-us-east": 6,
	}
	if !maps.Equal(partitions, want) {
		t.Errorf("%v, expected %v", partitions, want)
	}
	if findings := topology.Compare(c, topology.Wanted(c, nil), fit(c)); len(findings) != 1 || findings[0].Topic != "clicks-us*" || topology.Verdict(findings) != nil {
		t.Errorf("a pattern without a topic: %+v", findings)
	}
	for _, s := range topology.Embedded(config.Default()) {
		if s.Replication != 1 || s.Name == "clickagg.status" || s.Configs["min.insync.replicas"] != "" {
			t.Errorf("embedded: %+v", s)
		}
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	all := []string{"__consumer_offsets", "clickagg.shuffle", "clickagg2.shuffle", "clicks", "clicks-eu", "clicks-us", "other"}
	for _, c := range []struct{ patterns, want string }{
		{"clicks", "clicks"},
		{"absent", "absent"},
		{"clicks-*", "clicks-eu clicks-us"},
		{"clicks* clicks-eu other", "clicks clicks-eu clicks-us other"},
		{"*", "clickagg2.shuffle clicks clicks-eu clicks-us other"},
		{"clickagg.*", ""},
		{"__*", ""},
	} {
		cfg := config.Default()
		cfg.Input.Topics = strings.Fields(c.patterns)
		if got := strings.Join(topology.Inputs(cfg, all), " "); got != c.want {
			t.Errorf("%s: %s, expected %s", c.patterns, got, c.want)
		}
	}
}

// TestCompare changes one thing at a time and expects one finding.
func TestCompare(t *testing.T) {
	t.Parallel()
	const (
		breaks  = topology.Breaks
		advice  = topology.Advice
		nothing = topology.Severity(0)
		configs = "kafka-configs.sh --bootstrap-server kafka-1:9092 --alter --entity-type topics --entity-name "
	)
	set := func(key, value string) func(*kafka.TopicState) {
		return func(s *kafka.TopicState) { s.Configs[key] = value }
	}
	for _, c := range []struct {
		topic    string
		change   func(*kafka.TopicState)
		severity topology.Severity
		setting  string
		cure     string
	}{
		{"clicks", func(s *kafka.TopicState) { s.Name = "gone" }, breaks, "topic", "clickagg topics create"},
		{"clicks", func(s *kafka.TopicState) { s.Partitions = 100 }, nothing, "", ""},
		{"clicks", set("message.timestamp.type", "CreateTime"), breaks, "message.timestamp.type", configs + "clicks --add-config message.timestamp.type=LogAppendTime"},
		{"clickagg.shuffle", set("message.timestamp.type", "CreateTime"), breaks, "message.timestamp.type", configs + "clickagg.shuffle --add-config message.timestamp.type=LogAppendTime"},
		{"clicks", set("cleanup.policy", "compact"), breaks, "cleanup.policy", configs + "clicks --add-config cleanup.policy=delete"},
		{"clickagg.shuffle", set("cleanup.policy", "compact,delete"), breaks, "cleanup.policy", configs + "clickagg.shuffle --add-config cleanup.policy=delete"},
		{"clickagg.control", set("cleanup.policy", "compact"), breaks, "cleanup.policy", configs + "clickagg.control --add-config cleanup.policy=delete"},
		{"clickagg.status", set("cleanup.policy", "delete"), advice, "cleanup.policy", configs + "clickagg.status --add-config cleanup.policy=[compact,delete]"},
		{"clickagg.shuffle", func(s *kafka.TopicState) { s.Partitions = 8 }, breaks, "partitions", "set aggregator.shards to what it was"},
		{"clickagg.partials", func(s *kafka.TopicState) { s.Partitions = 1 }, breaks, "partitions", "set reducer.partitions to what it was"},
		{"clickagg.control", func(s *kafka.TopicState) { s.Partitions = 2 }, breaks, "partitions", "kafka-topics.sh --bootstrap-server kafka-1:9092 --delete --topic clickagg.control"},
		{"clickagg.shuffle", func(s *kafka.TopicState) { s.Replication = 2 }, breaks, "replication", "kafka-reassign-partitions.sh"},
		{"clickagg.shuffle", func(s *kafka.TopicState) { s.Replication = 4 }, nothing, "", ""},
		{"clicks", func(s *kafka.TopicState) { s.Replication = 2 }, advice, "replication", "with 3 replicas for each partition of clicks"},
		{"clickagg.shuffle", set("min.insync.replicas", "1"), breaks, "min.insync.replicas", configs + "clickagg.shuffle --add-config min.insync.replicas=2"},
		{"clicks", set("min.insync.replicas", "1"), advice, "min.insync.replicas", configs + "clicks --add-config min.insync.replicas=2"},
		{"clicks", set("unclean.leader.election.enable", "true"), breaks, "unclean.leader.election.enable", configs + "clicks --add-config unclean.leader.election.enable=false"},
		{"clickagg.results", set("retention.ms", "3600000"), breaks, "retention.ms", configs + "clickagg.results --add-config retention.ms=604800000"},
		{"clicks", set("retention.ms", "86400000"), advice, "retention.ms", configs + "clicks --add-config retention.ms=604800000"},
		{"clicks", set("retention.ms", "-1"), nothing, "", ""},
		{"clicks", set("retention.ms", "9223372036854775807"), nothing, "", ""},
		{"clickagg.control", set("retention.ms", "604800000"), breaks, "retention.ms", configs + "clickagg.control --add-config retention.ms=-1"},
		{"clicks", set("retention.bytes", "1000000"), advice, "retention.bytes", configs + "clicks --add-config retention.bytes=-1"},
		{"clickagg.control", set("retention.bytes", "1000000"), breaks, "retention.bytes", configs + "clickagg.control --add-config retention.bytes=-1"},
		{"clickagg.shuffle", set("max.message.bytes", "100000"), breaks, "max.message.bytes", configs + "clickagg.shuffle --add-config max.message.bytes=1049600"},
		{"clickagg.shuffle", set("max.message.bytes", "1048588"), nothing, "", ""},
		{"clicks", set("max.message.bytes", "100000"), nothing, "", ""},
	} {
		cfg := clustered()
		found := fit(cfg)
		i := slices.IndexFunc(found, func(s kafka.TopicState) bool { return s.Name == c.topic })
		c.change(&found[i])
		findings := topology.Compare(cfg, topology.Wanted(cfg, nil), found)
		if c.severity == nothing {
			if len(findings) != 0 {
				t.Errorf("%s: %+v", c.topic, findings)
			}
			continue
		}
		if len(findings) != 1 {
			t.Errorf("%s: %d findings, expected one of %s: %+v", c.topic, len(findings), c.setting, findings)
			continue
		}
		f := findings[0]
		if f.Topic != c.topic || f.Severity != c.severity || f.Setting != c.setting || !strings.Contains(f.Cure, c.cure) || f.Why == "" || f.Found == f.Wanted {
			t.Errorf("%+v, expected %s of %s, cure %q", f, c.setting, c.topic, c.cure)
		}
		if err := topology.Verdict(findings); errors.Is(err, topology.ErrUnfit) != (c.severity == breaks) {
			t.Errorf("%s of %s: %v", c.setting, c.topic, err)
		}
	}
}

// TestOneReplica: with one replica there is nothing to elect, and no promise that a
// replica less would break.
func TestOneReplica(t *testing.T) {
	t.Parallel()
	c := clustered()
	c.Kafka.Replication, c.Kafka.MinInsync = 1, 1
	found := fit(c)
	for i := range found {
		found[i].Configs["unclean.leader.election.enable"] = "true"
	}
	if findings := topology.Compare(c, topology.Wanted(c, nil), found); len(findings) != 0 {
		t.Errorf("%+v", findings)
	}
	wanted := topology.Wanted(c, nil)
	c.Kafka.MinInsync = 2
	if findings := topology.Compare(c, wanted, found); len(findings) != len(found) || topology.Verdict(findings) != nil {
		t.Errorf("two in sync of one: %+v", findings)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	c := clustered()
	found := fit(c)
	found[0].Configs["retention.ms"] = "5400000"
	found[0].Configs["min.insync.replicas"] = "1"
	c.Window.AllowedLateness = time.Hour
	var b strings.Builder
	if err := topology.Print(&b, topology.Compare(c, topology.Wanted(c, nil), found)); err != nil {
		t.Fatal(err)
	}
	want := `TOPIC             SETTING              FOUND  WANTED            
clickagg.shuffle  min.insync.replicas  1      2                 breaks exactness
clickagg.shuffle  retention.ms         1h30m  2h1m15s at least  breaks exactness

clickagg.shuffle, min.insync.replicas: a record counts as written when so many replicas have it; with fewer, acks=all promises less than it says
  kafka-configs.sh --bootstrap-server kafka-1:9092 --alter --entity-type topics --entity-name clickagg.shuffle --add-config min.insync.replicas=2

clickagg.shuffle, retention.ms: records would go before their window can be closed (window.size + window.allowed_lateness + watermark.delay and an hour for who was away)
  kafka-configs.sh --bootstrap-server kafka-1:9092 --alter --entity-type topics --entity-name clickagg.shuffle --add-config retention.ms=604800000
`
	if b.String() != want {
		t.Errorf("%s\nexpected\n%s", b.String(), want)
	}
	b.Reset()
	if err := topology.Print(&b, nil); err != nil || b.String() != "topics: ok\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}
