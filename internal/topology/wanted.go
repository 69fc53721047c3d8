package topology

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// Partitions of the own topics whose number is not configured.
const (
	ResultsPartitions  = 4
	RejectedPartitions = 1 // also of the late topic
)

// need is how long the log must be kept for a stage to do its work at all: until a
// window is closed and can be corrected no more, and an hour for whoever was away
// meanwhile.
func need(c *config.Config) time.Duration {
	return c.Window.Size + c.Window.AllowedLateness + c.Watermark.Delay + time.Hour
}

// Kind is what a topic is for.
type Kind uint8

// The kinds of topics.
const (
	Input   Kind = iota + 1 // clicks, written by others
	Log                     // what stages hand on, kept for a while
	Forever                 // facts, whose first record counts
	Board                   // the newest word of each process
)

// Topic is a topic that an installation needs.
type Topic struct {
	kafka.TopicSpec // to make it with; one that is there may have more of some things
	Kind            Kind
	Key             string // of the configuration, where the number of partitions comes from, if it does
}

// Names of the settings that are compared.
const (
	timestamps  = "message.timestamp.type"
	retention   = "retention.ms"
	size        = "retention.bytes"
	cleanup     = "cleanup.policy"
	minInsync   = "min.insync.replicas"
	unclean     = "unclean.leader.election.enable"
	messageSize = "max.message.bytes"
)

// largest is the largest batch clickagg appends, in bytes, with room for its frame.
const largest = 1 << 20

const unlimited = "-1"

// boardAge is how long the last word of a process that ended stands on the board.
const boardAge = 24 * time.Hour

// Wanted lists the topics of a configuration: its own, then its inputs, as [Inputs]
// picks them. With the broker inside the process there is no board.
func Wanted(c config.Config, all []string) []Topic {
	names := click.TopicsOf(c.Kafka.TopicPrefix)
	topics := []Topic{
		topic(&c, names.Shuffle, Log, c.Aggregator.Shards, "aggregator.shards"),
		topic(&c, names.Partials, Log, c.Reducer.Partitions, "reducer.partitions"),
		topic(&c, names.Results, Log, ResultsPartitions, ""),
		topic(&c, names.Rankings, Log, c.Reducer.Partitions, "reducer.partitions"),
		topic(&c, names.Rejected, Log, RejectedPartitions, ""),
		topic(&c, names.Late, Log, RejectedPartitions, ""),
		topic(&c, names.Control, Forever, 1, ""),
	}
	if !embedded(&c) {
		topics = append(topics, topic(&c, names.Status, Board, 1, ""))
	}
	for _, name := range Inputs(c, all) {
		topics = append(topics, topic(&c, name, Input, c.Input.Partitions, "input.partitions"))
	}
	return topics
}

// Embedded are the topics to be made in the broker inside the process.
func Embedded(c config.Config) []kafka.TopicSpec { return Specs(Wanted(c, nil)) }

// Specs are the topics as they are made.
func Specs(topics []Topic) (specs []kafka.TopicSpec) {
	for _, t := range topics {
		specs = append(specs, t.TopicSpec)
	}
	return specs
}

func embedded(c *config.Config) bool { return len(c.Kafka.Brokers) == 0 }

func topic(c *config.Config, name string, kind Kind, partitions int, key string) Topic {
	t := Topic{Kind: kind, Key: key, TopicSpec: kafka.TopicSpec{
		Name: name, Partitions: int32(partitions), Replication: 1, Configs: map[string]string{
			timestamps: "LogAppendTime", size: unlimited, retention: ms(c.Kafka.Retention), cleanup: "delete",
		},
	}}
	switch kind {
	case Forever:
		t.Configs[retention] = unlimited
	case Board:
		t.Configs[cleanup], t.Configs[retention] = "compact,delete", ms(boardAge)
		t.Configs["segment.ms"] = ms(time.Hour) // what is in the newest file is not compacted
	}
	if embedded(c) {
		return t // one replica of everything, and no other settings
	}
	t.Replication = int16(c.Kafka.Replication)
	maps.Copy(t.Configs, map[string]string{
		minInsync: strconv.Itoa(c.Kafka.MinInsync), unclean: "false", messageSize: strconv.Itoa(largest + 1<<10),
	})
	return t
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func isPattern(name string) bool { return strings.HasSuffix(name, "*") }

// Inputs picks the input topics: those the configuration names exactly, whether or
// not they exist, and of all topics those a pattern stands for. A pattern never
// stands for an own topic or for one of Kafka's. The answer is in order, each name
// once.
func Inputs(c config.Config, all []string) (inputs []string) {
	for _, p := range c.Input.Topics {
		if !isPattern(p) {
			inputs = append(inputs, p)
			continue
		}
		stem := strings.TrimSuffix(p, "*")
		for _, name := range all {
			if strings.HasPrefix(name, stem) && !strings.HasPrefix(name, c.Kafka.TopicPrefix+".") && !strings.HasPrefix(name, "__") {
				inputs = append(inputs, name)
			}
		}
	}
	slices.Sort(inputs)
	return slices.Compact(inputs)
}
