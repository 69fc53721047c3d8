package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Validate holds every knob to its limit and to those it depends on. The error
// joins all faults, one line each, led by the dotted path.
func (c Config) Validate() error { return joined(c.faults()) }

func (c Config) faults() []fault {
	var faults []fault
	broken := map[string]bool{}
	rules := limits()
	for n := range c.nodes() {
		if n.isSection() {
			continue
		}
		if text := rules[n.path].fault(n.value.Interface()); text != "" {
			faults = append(faults, fault{keys: []string{n.path}, text: text})
			broken[n.path] = true
		}
	}
	for _, r := range relations() {
		// A relation with a value that is wrong by itself says nothing new.
		if slices.ContainsFunc(r.keys, func(k string) bool { return broken[k] }) {
			continue
		}
		if text := r.fault(c); text != "" {
			faults = append(faults, fault{keys: r.keys, text: text})
		}
	}
	if !broken["input.types"] {
		faults = append(faults, c.filterFaults()...)
	}
	return faults
}

// relation binds knobs to each other.
type relation struct {
	keys  []string // the one to change first
	says  string   // for the reference page: a sentence; empty when another one says it
	fault func(c Config) string
}

func relations() []relation {
	open := []string{"window.size", "window.allowed_lateness", "watermark.delay"}
	return append(append(connectionRelations(), apiRelations()...), []relation{
		{
			keys:  append([]string{"dedupe.horizon"}, open...),
			says:  "`dedupe.horizon` is at least `window.size` + `window.allowed_lateness` + `watermark.delay`: a click that may still be counted must be one whose id is still held.",
			fault: horizonFault,
		},
		{
			keys:  append([]string{"kafka.retention"}, open...),
			says:  "`kafka.retention` is at least `window.size` + `window.allowed_lateness` + `watermark.delay`: a click that may still be counted must still be in the log.",
			fault: retentionFault,
		},
		{
			keys:  []string{"hot.spread", "aggregator.shards"},
			says:  "`hot.spread` is at most `aggregator.shards`.",
			fault: spreadFault,
		},
		{
			keys:  []string{"watermark.skew_margin", "watermark.delay"},
			says:  "`watermark.skew_margin` is at most `watermark.delay`: the margin is part of the delay.",
			fault: marginFault,
		},
		{
			keys:  []string{"watermark.trusted_topics", "input.topics"},
			says:  "`watermark.trusted_topics` names topics that `input.topics` names or stands for.",
			fault: trustFault,
		},
		{
			keys:  []string{"input.topics", "kafka.topic_prefix"},
			says:  "No topic of `input.topics` begins with `kafka.topic_prefix` and a dot: clickagg would read what it wrote itself.",
			fault: loopFault,
		},
		{
			keys:  []string{"input.fields.ts", "input.fields.event_id", "input.fields.ad_id"},
			says:  "The names under `input.fields` differ from each other.",
			fault: fieldsFault,
		},
		{
			keys:  []string{"api.listen", "embedded.listen", "ops.listen"},
			says:  "`embedded.listen`, `api.listen` and `ops.listen` differ from each other.",
			fault: listenFault,
		},
	}...)
}

// connectionRelations bind what says how servers are reached.
func connectionRelations() []relation {
	return []relation{
		{
			keys:  []string{"kafka.min_insync", "kafka.replication"},
			says:  "`kafka.min_insync` is at most `kafka.replication`: more replicas than there are never have a record.",
			fault: insyncFault,
		},
		{
			keys:  []string{"kafka.sasl.mechanism", "kafka.sasl.user", "kafka.sasl.password"},
			says:  "`kafka.sasl.mechanism` needs `kafka.sasl.user` and `kafka.sasl.password`, and they need it.",
			fault: saslFault,
		},
		{
			keys: []string{"kafka.brokers", "kafka.tls.enabled", "kafka.allow_plaintext"},
			says: "`kafka.brokers` beyond this machine need `kafka.tls.enabled` or `kafka.allow_plaintext`.",
			fault: func(c Config) string {
				return plainFault("kafka", c.Kafka.Brokers, c.Kafka.TLS, c.Kafka.AllowPlaintext)
			},
		},
		{
			keys: []string{"cassandra.hosts", "cassandra.tls.enabled", "cassandra.allow_plaintext"},
			says: "`cassandra.hosts` beyond this machine need `cassandra.tls.enabled` or `cassandra.allow_plaintext`.",
			fault: func(c Config) string {
				return plainFault("cassandra", c.Cassandra.Hosts, c.Cassandra.TLS, c.Cassandra.AllowPlaintext)
			},
		},
		{
			keys:  []string{"cassandra.hosts"},
			says:  "All `cassandra.hosts` have the same port.",
			fault: portFault,
		},
		{
			keys:  []string{"cassandra.user", "cassandra.password"},
			says:  "`cassandra.user` and `cassandra.password` are set together.",
			fault: func(c Config) string { return bothFault(c.Cassandra.User, c.Cassandra.Password.value) },
		},
		{
			keys: []string{"snapshots.s3.access_key", "snapshots.s3.secret_key"},
			says: "`snapshots.s3.access_key` and `snapshots.s3.secret_key` are set together.",
			fault: func(c Config) string {
				return bothFault(c.Snapshots.S3.AccessKey.value, c.Snapshots.S3.SecretKey.value)
			},
		},
		{
			keys: []string{"archive.s3.access_key", "archive.s3.secret_key"},
			says: "`archive.s3.access_key` and `archive.s3.secret_key` are set together.",
			fault: func(c Config) string {
				return bothFault(c.Archive.S3.AccessKey.value, c.Archive.S3.SecretKey.value)
			},
		},
		{
			keys:  []string{"archive.after", "cassandra.raw_ttl"},
			says:  "`cassandra.raw_ttl` is at least `archive.after` + 24h: an archive that is away for a day loses nothing.",
			fault: archiveFault,
		},
		{
			keys:  []string{"kafka.tls.cert_file", "kafka.tls.key_file"},
			says:  "`kafka.tls.cert_file` and `kafka.tls.key_file` are set together; the same under `cassandra.tls`.",
			fault: func(c Config) string { return c.Kafka.TLS.pairFault() },
		},
		{
			keys:  []string{"cassandra.tls.cert_file", "cassandra.tls.key_file"},
			says:  "What `kafka.tls` and `cassandra.tls` say counts only where `enabled` is true, and is refused where it is not.",
			fault: func(c Config) string { return c.Cassandra.TLS.pairFault() },
		},
		{
			keys:  []string{"kafka.tls.enabled", "kafka.tls.ca_file", "kafka.tls.cert_file", "kafka.tls.key_file", "kafka.tls.server_name"},
			fault: func(c Config) string { return c.Kafka.TLS.idleFault() },
		},
		{
			keys:  []string{"cassandra.tls.enabled", "cassandra.tls.ca_file", "cassandra.tls.cert_file", "cassandra.tls.key_file", "cassandra.tls.server_name"},
			fault: func(c Config) string { return c.Cassandra.TLS.idleFault() },
		},
	}
}

// apiRelations bind what says how the API is reached, and by whom.
func apiRelations() []relation {
	return []relation{
		{
			keys:  []string{"api.tls.cert_file", "api.tls.key_file"},
			says:  "`api.tls.cert_file` and `api.tls.key_file` are set together; the same under `api.client`.",
			fault: func(c Config) string { return bothFault(c.API.TLS.CertFile, c.API.TLS.KeyFile) },
		},
		{
			keys:  []string{"api.client.cert_file", "api.client.key_file"},
			fault: func(c Config) string { return bothFault(c.API.Client.CertFile, c.API.Client.KeyFile) },
		},
		{
			keys:  []string{"api.tls.client_ca_file", "api.tls.cert_file", "api.tokens", "api.tokens_file"},
			says:  "`api.tls.client_ca_file` needs `api.tls.cert_file`, and `api.tokens` or `api.tokens_file` to say whose certificates may do what.",
			fault: clientCAFault,
		},
		{
			keys:  []string{"api.listen", "api.tls.cert_file", "api.tokens", "api.tokens_file", "api.insecure"},
			says:  "`api.listen` beyond this machine needs `api.tls.cert_file`, and `api.tokens` or `api.tokens_file`; or `api.insecure`.",
			fault: openFault,
		},
		{
			keys:  []string{"api.client.token", "api.url", "api.listen"},
			says:  "`api.client.token` goes with an `api.url` of https, or of this machine.",
			fault: bareTokenFault,
		},
	}
}

// asks tells whether the API asks who is there.
func (a API) asks() bool { return len(a.Tokens) > 0 || a.TokensFile != "" }

func clientCAFault(c Config) string {
	switch {
	case c.API.TLS.ClientCAFile == "":
		return ""
	case c.API.TLS.CertFile == "":
		return "clients show certificates over TLS only; set api.tls.cert_file and api.tls.key_file"
	case !c.API.asks():
		return "nobody is known by a certificate yet; name its subject in api.tokens or api.tokens_file"
	}
	return ""
}

func openFault(c Config) string {
	host, _, _ := splitAddress(c.API.Listen, 0)
	if isLoopback(host) || c.API.Insecure || c.API.TLS.CertFile != "" && c.API.asks() {
		return ""
	}
	return fmt.Sprintf("%s can be reached from other machines, so it needs TLS (api.tls.cert_file, api.tls.key_file) and tokens ('clickagg token new', then api.tokens or api.tokens_file); "+
		"or listen on 127.0.0.1, or say --insecure where the network or a proxy sees to both", quote(c.API.Listen))
}

func bareTokenFault(c Config) string {
	u, err := url.Parse(c.API.URL)
	if c.API.Client.Token.value == "" || err != nil || u.Scheme != "http" || isLoopback(u.Hostname()) {
		return ""
	}
	return quote(c.API.URL) + " is another machine, and the token would go there unencrypted; write https"
}

func horizonFault(c Config) string {
	least := c.Window.Size + c.Window.AllowedLateness + c.Watermark.Delay
	if c.Dedupe.Horizon >= least {
		return ""
	}
	return fmt.Sprintf("%s is shorter than %s, so a repeated click could be counted twice; raise it to at least %s or lower one of the others",
		show(c.Dedupe.Horizon), c.openSum(), show(least))
}

func retentionFault(c Config) string {
	least := c.Window.Size + c.Window.AllowedLateness + c.Watermark.Delay
	if c.Kafka.Retention >= least {
		return ""
	}
	return fmt.Sprintf("%s is shorter than %s, so a click could leave the log before its window closes; raise it to at least %s or lower one of the others",
		show(c.Kafka.Retention), c.openSum(), show(least))
}

// openSum spells out how long a click can still count.
func (c Config) openSum() string {
	return fmt.Sprintf("window.size %s + window.allowed_lateness %s + watermark.delay %s",
		show(c.Window.Size), show(c.Window.AllowedLateness), show(c.Watermark.Delay))
}

func marginFault(c Config) string {
	if c.Watermark.SkewMargin <= c.Watermark.Delay {
		return ""
	}
	return fmt.Sprintf("%s is more than watermark.delay %s, so an idle partition would close windows later than a busy one; lower it to at most %[2]s or raise watermark.delay",
		show(c.Watermark.SkewMargin), show(c.Watermark.Delay))
}

// archiveMargin is how long archiving may fail before records expire that are not archived.
const archiveMargin = day

// archiveLeast is how soon an hour can be archived.
const archiveLeast = day / 24

func archiveFault(c Config) string {
	least := c.Archive.After + archiveMargin
	if c.Archive.After == 0 || c.Cassandra.RawTTL >= least {
		return ""
	}
	lower := ""
	if most := c.Cassandra.RawTTL - archiveMargin; most >= archiveLeast {
		lower = "lower it to at most " + show(most) + " or "
	}
	return fmt.Sprintf("%s is too late: the raw store lets go of records after cassandra.raw_ttl %s, and archiving may take a day; %sraise cassandra.raw_ttl to %s",
		show(c.Archive.After), show(c.Cassandra.RawTTL), lower, show(least))
}

func spreadFault(c Config) string {
	if c.Hot.Spread <= c.Aggregator.Shards {
		return ""
	}
	return fmt.Sprintf("%d is more than aggregator.shards %d; lower it to at most %[2]d, or to 0 for all", c.Hot.Spread, c.Aggregator.Shards)
}

func trustFault(c Config) string {
	for _, t := range c.Watermark.TrustedTopics {
		if !slices.ContainsFunc(c.Input.Topics, func(pattern string) bool { return Matches(pattern, t) }) {
			return fmt.Sprintf("%s is not in input.topics (%s); add it there or remove it here", quote(t), strings.Join(c.Input.Topics, ", "))
		}
	}
	return ""
}

func loopFault(c Config) string {
	for _, t := range c.Input.Topics {
		if !strings.HasSuffix(t, "*") && strings.HasPrefix(t, c.Kafka.TopicPrefix+".") {
			return fmt.Sprintf("%s begins with kafka.topic_prefix %s and a dot, as clickagg's own topics do; read another topic or change the prefix", quote(t), quote(c.Kafka.TopicPrefix))
		}
	}
	return ""
}

// Matches tells whether a topic is what an entry of input.topics names or stands for.
func Matches(pattern, topic string) bool {
	if begin, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(topic, begin)
	}
	return pattern == topic
}

func insyncFault(c Config) string {
	if c.Kafka.MinInsync <= c.Kafka.Replication {
		return ""
	}
	return fmt.Sprintf("%d is more than kafka.replication %d; lower it, or raise that", c.Kafka.MinInsync, c.Kafka.Replication)
}

func saslFault(c Config) string {
	s := c.Kafka.SASL
	switch named := s.User != "" && s.Password.value != ""; {
	case s.Mechanism != "none" && !named:
		return s.Mechanism + " needs kafka.sasl.user and kafka.sasl.password"
	case s.Mechanism == "none" && (s.User != "" || s.Password.value != ""):
		return "none does not log in, but kafka.sasl.user or kafka.sasl.password is set; name the mechanism the brokers expect"
	}
	return ""
}

func plainFault(section string, addresses []string, tls TLS, allowed bool) string {
	if tls.Enabled || allowed {
		return ""
	}
	for _, a := range addresses {
		if host, _, _ := splitAddress(a, 1); !isLoopback(host) {
			return fmt.Sprintf("%s is another machine, and everything would go there unencrypted; set %s.tls.enabled, or %[2]s.allow_plaintext where the network is trusted",
				quote(a), section)
		}
	}
	return ""
}

func portFault(c Config) string {
	first := ""
	for _, a := range c.Cassandra.Hosts {
		_, port, _ := splitAddress(a, 1)
		if first == "" {
			first = port
		}
		if port != first {
			return fmt.Sprintf("%s has another port than %s; nodes find each other by address, and one port is used for all", quote(a), quote(c.Cassandra.Hosts[0]))
		}
	}
	return ""
}

func bothFault(a, b string) string {
	if (a == "") == (b == "") {
		return ""
	}
	return "only one of the two is set; set both or none"
}

func (t TLS) pairFault() string {
	if !t.Enabled {
		return ""
	}
	return bothFault(t.CertFile, t.KeyFile)
}

func (t TLS) idleFault() string {
	if t.Enabled || t == (TLS{}) {
		return ""
	}
	return "false, but there are other settings beside it; set it to true or remove them"
}

func fieldsFault(c Config) string {
	f := c.Input.Fields
	if f.EventID != f.AdID && f.EventID != f.Time && f.AdID != f.Time {
		return ""
	}
	return fmt.Sprintf("event_id is %s, ad_id is %s and ts is %s; each needs a field of its own", quote(f.EventID), quote(f.AdID), quote(f.Time))
}

func listenFault(c Config) string {
	seen := map[string]string{}
	for _, l := range []struct{ key, address string }{
		{"embedded.listen", c.Embedded.Listen}, {"api.listen", c.API.Listen}, {"ops.listen", c.Ops.Listen},
	} {
		host, port, fault := splitAddress(l.address, 1)
		if fault != "" {
			continue // empty, or a free port, which is never taken twice
		}
		if host == "localhost" {
			host = "127.0.0.1"
		}
		if other := seen[host+" "+port]; other != "" {
			return fmt.Sprintf("%s is the address of %s and %s; give one another port", quote(l.address), other, l.key)
		}
		seen[host+" "+port] = l.key
	}
	return ""
}
