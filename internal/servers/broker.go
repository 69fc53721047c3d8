package servers

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// broker is one process of a Kafka cluster.
type broker struct {
	process
	id                        int
	plain, control, tls, sasl string // addresses
}

// The server logs to its output, in both generations of its logging library.
const log4j2 = `
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %m (%c{1})%n
`

const log4j1 = `
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{HH:mm:ss,SSS} %p %m (%c{1})%n
`

// configure writes the broker's directory.
func (b *broker) configure(all []*broker, o KafkaOptions, lib string) error {
	heap := "512m"
	if len(all) > 1 {
		heap = "320m"
	}
	jvm := o.JVM
	if len(jvm) == 0 {
		jvm = []string{"-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
	}
	b.args = append(slices.Clone(jvm), "-Djava.awt.headless=true",
		"-Dlog4j2.configurationFile="+filepath.Join(b.dir, "log4j2.properties"),
		"-Dlog4j.configuration=file:"+filepath.Join(b.dir, "log4j.properties"),
		"-cp", filepath.Join(lib, "*"), "kafka.Kafka", "server.properties")
	properties := b.properties(all, o)
	maps.Copy(properties, o.Properties)
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", k, properties[k])
	}
	return files(b.dir, map[string]string{
		"server.properties": text.String(), "log4j2.properties": log4j2, "log4j.properties": log4j1,
	})
}

func (b *broker) properties(all []*broker, o KafkaOptions) map[string]string {
	var voters []string
	for _, o := range all {
		voters = append(voters, fmt.Sprintf("%d@%s", o.id, o.control))
	}
	n := strconv.Itoa(min(len(all), 3))
	listeners := "PLAINTEXT://" + b.plain
	if o.Secure != nil {
		listeners += ",SSL://" + b.tls + ",SASL_SSL://" + b.sasl
	}
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(b.id),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     "PLAINTEXT",
		"listeners":                      listeners + ",CONTROLLER://" + b.control,
		"advertised.listeners":           listeners,
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
		"log.dirs":                       filepath.Join(b.dir, "data"),

		"default.replication.factor":               n,
		"offsets.topic.replication.factor":         n,
		"transaction.state.log.replication.factor": n,
		"min.insync.replicas":                      strconv.Itoa(len(all)/2 + 1),
		"transaction.state.log.min.isr":            strconv.Itoa(len(all)/2 + 1),

		// A small machine: few threads, little memory, and nobody waits for anybody.
		"offsets.topic.num.partitions":          "8",
		"transaction.state.log.num.partitions":  "4",
		"num.network.threads":                   "2",
		"num.io.threads":                        "4",
		"background.threads":                    "2",
		"log.cleaner.dedupe.buffer.size":        "8388608",
		"group.initial.rebalance.delay.ms":      "0",
		"group.min.session.timeout.ms":          "1000",
		"controller.quorum.election.timeout.ms": "500",
		"controller.quorum.fetch.timeout.ms":    "2000",
		"broker.heartbeat.interval.ms":          "500",
		"broker.session.timeout.ms":             "6000",
	}
	if o.Secure != nil {
		maps.Copy(p, o.Secure.properties())
	}
	return p
}

func (s *KafkaSecurity) properties() map[string]string {
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, name := range slices.Sorted(maps.Keys(s.Users)) {
		plain += fmt.Sprintf(" user_%s=%q", name, s.Users[name])
	}
	scram := "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	p := map[string]string{
		"ssl.keystore.type":                                     "PEM",
		"ssl.keystore.location":                                 s.Certificates.server,
		"ssl.truststore.type":                                   "PEM",
		"ssl.truststore.location":                               s.Certificates.CA,
		"listener.name.sasl_ssl.sasl.enabled.mechanisms":        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.sasl_ssl.plain.sasl.jaas.config":         plain + ";",
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
	}
	if s.ClientCert {
		p["listener.name.ssl.ssl.client.auth"] = "required"
	}
	return p
}

// once runs a tool of Kafka with the broker's jars.
func (b *broker) once(ctx context.Context, args []string) error {
	jvm := b.args[:len(b.args)-2] // all but the main class and its file
	c := exec.CommandContext(ctx, b.java, slices.Concat(jvm, args)...)
	c.Dir = b.dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, last(out))
	}
	return nil
}

// files makes a directory with files.
func files(dir string, texts map[string]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// home is the directory of a server: the one that was asked for, or a fresh one.
func home(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "clickagg-servers-")
	}
	return filepath.Abs(dir)
}

// chosen is a version: the one asked for, the environment's, or the usual one.
func chosen(version, variable, usual string) string {
	if version == "" {
		version = os.Getenv(variable)
	}
	if version == "" {
		version = usual
	}
	return version
}
