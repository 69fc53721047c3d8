package topology

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// ErrUnfit: the topics are not such that counts would be exact.
var ErrUnfit = errors.New("the topics do not fit the configuration")

// Severity says what a finding is worth.
type Severity uint8

// The severities.
const (
	Advice Severity = iota + 1 // counts stay exact, but less is safe than was configured
	Breaks                     // counts could be wrong, or nothing would work: no role starts
)

var severityNames = [...]string{Advice: "advice", Breaks: "breaks exactness"}

// String is the severity in words.
func (s Severity) String() string { return severityNames[s] }

// MarshalText is [Severity.String], for everything that encodes.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one setting that is not as it should be.
type Finding struct {
	Topic    string   `json:"topic"`
	Severity Severity `json:"severity"`
	Setting  string   `json:"setting"`
	Found    string   `json:"found"`
	Wanted   string   `json:"wanted"`
	Why      string   `json:"why"`
	Cure     string   `json:"cure"` // a command with the real names, or what to do
}

// Verdict is an [ErrUnfit] that tells every finding that breaks exactness, and nil
// when there is none.
func Verdict(findings []Finding) error {
	var text strings.Builder
	for _, f := range findings {
		if f.Severity == Breaks {
			fmt.Fprintf(&text, "\n  %s: %s is %s, must be %s: %s\n    %s", f.Topic, f.Setting, f.Found, f.Wanted, f.Why, f.Cure)
		}
	}
	if text.Len() == 0 {
		return nil
	}
	return fmt.Errorf("%w:%s", ErrUnfit, text.String())
}

// Compare returns what is not as it should be, in the order of the wanted topics.
// Found topics that nobody wants are passed over.
func Compare(c config.Config, wanted []Topic, found []kafka.TopicState) []Finding {
	at := comparison{config: &c, need: need(&c)}
	for i := range wanted {
		at.want = &wanted[i]
		j := slices.IndexFunc(found, func(f kafka.TopicState) bool { return f.Name == at.want.Name })
		if j < 0 {
			at.add(Breaks, "topic", "missing", fmt.Sprintf("%d partitions", at.want.Partitions), "it does not exist", "clickagg topics create")
			continue
		}
		at.have = &found[j]
		at.partitions()
		at.replicas()
		at.time()
		at.cleanup()
		at.kept()
		at.messages()
	}
	for _, p := range c.Input.Topics {
		matches := func(t Topic) bool { return t.Kind == Input && strings.HasPrefix(t.Name, strings.TrimSuffix(p, "*")) }
		if isPattern(p) && !slices.ContainsFunc(wanted, matches) {
			at.findings = append(at.findings, Finding{
				Topic: p, Severity: Advice, Setting: "topic", Found: "none", Wanted: "one at least",
				Why: "no topic begins so yet; it is looked for again every " + c.Input.Refresh.String(), Cure: "make one, with " + timestamps + "=LogAppendTime",
			})
		}
	}
	return at.findings
}

// comparison is the topic at hand and what was found so far.
type comparison struct {
	config   *config.Config
	need     time.Duration
	want     *Topic
	have     *kafka.TopicState
	findings []Finding
}

// bootstrap is the address for commands.
func (c *comparison) bootstrap() string {
	if embedded(c.config) {
		return c.config.Embedded.Listen
	}
	return c.config.Kafka.Brokers[0]
}

func (c *comparison) add(s Severity, setting, found, wanted, why, cure string) {
	c.findings = append(c.findings, Finding{
		Topic: c.want.Name, Severity: s, Setting: setting, Found: found, Wanted: wanted, Why: why, Cure: cure,
	})
}

// set is the command that sets a setting of the topic at hand.
func (c *comparison) set(setting, value string) string {
	if strings.Contains(value, ",") {
		value = "[" + value + "]"
	}
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s=%s",
		c.bootstrap(), c.want.Name, setting, value)
}

// own tells whether clickagg writes the topic.
func (c *comparison) own() bool { return c.want.Kind != Input }

func (c *comparison) partitions() {
	found, wanted := c.have.Partitions, c.want.Partitions
	if !c.own() || found == wanted {
		return
	}
	why := "each of them has one stage; one more would have none, and one fewer would leave a stage without its records"
	again := fmt.Sprintf("if nothing was counted yet: kafka-topics.sh --bootstrap-server %s --delete --topic %s, then clickagg topics create",
		c.bootstrap(), c.want.Name)
	if c.want.Key != "" {
		c.add(Breaks, "partitions", strconv.Itoa(int(found)), strconv.Itoa(int(wanted)), why,
			fmt.Sprintf("set %s to what it was when the topic was made; %s", c.want.Key, again))
		return
	}
	c.add(Breaks, "partitions", strconv.Itoa(int(found)), strconv.Itoa(int(wanted)), why, again)
}

// replicas looks at all that keeps an acknowledged record from being lost with a
// broker. What others write is their risk, and a loss there would be noticed.
func (c *comparison) replicas() {
	if embedded(c.config) {
		return
	}
	severity := Breaks
	if !c.own() || c.want.Kind == Board {
		severity = Advice
	}
	if wanted := int(c.want.Replication); c.have.Replication < wanted {
		c.add(severity, "replication", strconv.Itoa(c.have.Replication), strconv.Itoa(wanted),
			"a broker that is lost for good takes with it what it alone has",
			fmt.Sprintf("kafka-reassign-partitions.sh --bootstrap-server %s --execute --reassignment-json-file plan.json, with %d replicas for each partition of %s in the plan",
				c.bootstrap(), wanted, c.want.Name))
	}
	if got, ok := c.number(minInsync); ok && got < int64(c.config.Kafka.MinInsync) {
		s := severity
		if c.have.Replication <= 1 {
			s = Advice
		}
		c.add(s, minInsync, strconv.FormatInt(got, 10), strconv.Itoa(c.config.Kafka.MinInsync),
			"a record counts as written when so many replicas have it; with fewer, acks=all promises less than it says",
			c.set(minInsync, strconv.Itoa(c.config.Kafka.MinInsync)))
	}
	if c.have.Replication > 1 && c.have.Configs[unclean] == "true" {
		s := Breaks
		if c.want.Kind == Board {
			s = Advice
		}
		c.add(s, unclean, "true", "false",
			"a replica that lacks records could become leader: records that were counted would be gone and others stand in their place",
			c.set(unclean, "false"))
	}
}

func (c *comparison) time() {
	if got := c.have.Configs[timestamps]; got != "LogAppendTime" {
		s, why := Breaks, "event times are judged by the time the broker gives, not the one a producer claims"
		if c.want.Kind == Board {
			s = Advice
		}
		cure := c.set(timestamps, "LogAppendTime")
		if c.want.Kind == Input {
			why += "; records written before the change keep the producer's and cannot be counted"
		}
		c.add(s, timestamps, got, "LogAppendTime", why, cure)
	}
}

func (c *comparison) cleanup() {
	got := c.have.Configs[cleanup]
	compacts := strings.Contains(got, "compact")
	switch {
	case c.want.Kind == Board && !compacts:
		c.add(Advice, cleanup, got, c.want.Configs[cleanup], "only the newest word of each process is of use; without compaction there is much to read at a start",
			c.set(cleanup, c.want.Configs[cleanup]))
	case c.want.Kind == Forever && compacts:
		c.add(Breaks, cleanup, got, "delete", "its first record counts, and compaction keeps the last", c.set(cleanup, "delete"))
	case c.want.Kind != Board && compacts:
		c.add(Breaks, cleanup, got, "delete", "compaction takes records out of the middle: clicks with the same key would vanish uncounted", c.set(cleanup, "delete"))
	}
}

// kept looks at how long records stay.
func (c *comparison) kept() {
	if c.want.Kind == Board {
		return
	}
	if got, ok := c.number(size); ok && got >= 0 {
		s := Advice
		if c.want.Kind == Forever {
			s = Breaks
		}
		c.add(s, size, strconv.FormatInt(got, 10), unlimited, "records go when a partition is that large, however young they are; whoever is behind then stops with a loss",
			c.set(size, unlimited))
	}
	got, ok := c.number(retention)
	if !ok || got < 0 {
		return
	}
	if c.want.Kind == Forever {
		c.add(Breaks, retention, short(got), "for ever", "it holds what the installation is; without it counting would begin anew", c.set(retention, unlimited))
		return
	}
	switch {
	case got < c.need.Milliseconds():
		c.add(Breaks, retention, short(got), short(c.need.Milliseconds())+" at least",
			"records would go before their window can be closed (window.size + window.allowed_lateness + watermark.delay and an hour for who was away)",
			c.set(retention, c.want.Configs[retention]))
	case got < c.config.Kafka.Retention.Milliseconds():
		c.add(Advice, retention, short(got), short(c.config.Kafka.Retention.Milliseconds()),
			"a lost snapshot or store can be made again only from as far back", c.set(retention, c.want.Configs[retention]))
	}
}

func (c *comparison) messages() {
	if !c.own() {
		return
	}
	if got, ok := c.number(messageSize); ok && got < largest {
		c.add(Breaks, messageSize, strconv.FormatInt(got, 10), strconv.Itoa(largest)+" at least", "clickagg writes batches of up to that many bytes",
			c.set(messageSize, strconv.Itoa(largest+1<<10)))
	}
}

// number reads a setting; ok is false when it is not there or no number.
func (c *comparison) number(setting string) (n int64, ok bool) {
	n, err := strconv.ParseInt(c.have.Configs[setting], 10, 64)
	return n, err == nil
}

// short is a time in milliseconds as people write it.
func short(n int64) string {
	d := (time.Duration(n) * time.Millisecond).String()
	d, _ = strings.CutSuffix(d, "m0s")
	if strings.HasSuffix(d, "h0") {
		return strings.TrimSuffix(d, "0")
	}
	if !strings.HasSuffix(d, "s") {
		return d + "m"
	}
	return d
}
