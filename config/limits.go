package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // machines without the database of time zones know them too
	"unicode"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/access"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/internal/schedule"
)

// limit is what values a knob takes.
type limit struct {
	says  string                 // for the reference page
	fault func(value any) string // what is wrong with a value; empty when nothing is
}

// limits holds every knob to a limit of its own; what binds two of them stands
// in relations.
func limits() map[string]limit {
	fields := text("a field name, at most 200 bytes", fieldFault)
	all := map[string]limit{
		"data_dir": text("a path", pathFault),

		"embedded.listen":      listener(),
		"embedded.sync_writes": unlimited("true or false"),

		"input.topics":           list(1, 100, "topic names, or beginnings of names with a * after them", patternFault),
		"input.partitions":       within(1, 1024),
		"input.refresh":          within(100*time.Millisecond, time.Hour),
		"input.fields.event_id":  fields,
		"input.fields.ad_id":     fields,
		"input.fields.ts":        fields,
		"input.time_unit":        oneOf("s", "ms", "us", "ns"),
		"input.types":            list(0, 100, "words name:type", typeFault),
		"input.max_record_bytes": within(256, 1_000_000), // a rejected record goes on whole, in a Kafka message of 1 MiB with its headers

		"filters": unlimited("0 to 63 entries, with ids that differ"),

		"window.size":             windowSize(),
		"window.allowed_lateness": within(0, 3*day),
		"window.rollups":          list(0, 2, "of 1h and 24h", rollupFault),
		"window.time_zone":        text("a name of the IANA time zone database", zoneFault),

		"watermark.delay":          within(0, time.Hour),
		"watermark.max_future":     within(0, day),
		"watermark.idle_timeout":   within(100*time.Millisecond, time.Hour),
		"watermark.skew_margin":    within(0, time.Hour),
		"watermark.trusted_topics": list(0, 100, "topic names", topicFault),

		"dedupe.horizon": within(time.Second, 7*day),
		"dedupe.key":     list(0, 16, "field names", fieldFault),

		"mapper.section_clicks":  within(100, 200_000),
		"mapper.commit_interval": within(10*time.Millisecond, time.Minute),
		"mapper.heartbeat":       within(10*time.Millisecond, time.Minute),
		"mapper.max_lead":        within(time.Second, 7*day),

		"aggregator.shards":            within(1, 1024),
		"aggregator.standby_group":     text("empty, or letters, digits, '_' and '-', at most 40", groupFault),
		"aggregator.tick":              within(10*time.Millisecond, time.Minute),
		"aggregator.top":               within(1, 10_000),
		"aggregator.snapshot_interval": within(100*time.Millisecond, time.Hour),
		"aggregator.max_ids":           within(1_000, 1_000_000_000),
		"aggregator.max_ads":           within(100, 50_000_000),

		"hot.threshold": within(0, 1_000_000_000),
		"hot.spread":    within(0, 1024),

		"reducer.partitions": within(1, 1024),

		"writer.max_refused":    within(0, 1_000_000),
		"writer.retry_max_wait": within(100*time.Millisecond, time.Hour),

		"reconcile.schedule":         text("a length of time that divides a day, 1m or more, or a time of the day as HH:MM", scheduleFault),
		"reconcile.range":            within(time.Minute, 31*day),
		"correction.rows_per_second": within(1, 1_000_000),

		"ops.listen": emptyOr(listener()),

		"log.level":  oneOf("debug", "info", "warn", "error"),
		"log.format": oneOf("console", "json"),

		"shutdown.timeout": within(100*time.Millisecond, time.Hour),
	}
	maps.Copy(all, connectionLimits())
	maps.Copy(all, apiLimits())
	return all
}

// apiLimits are those of the API and of the command line that asks it.
func apiLimits() map[string]limit {
	return map[string]limit{
		"api.listen":             text("host:port; port 0 takes a free one", addressFault),
		"api.url":                text("empty, or an http or https URL", urlFault),
		"api.insecure":           unlimited("true or false"),
		"api.tls.cert_file":      optionalFile(),
		"api.tls.key_file":       optionalFile(),
		"api.tls.client_ca_file": optionalFile(),
		"api.tokens":             {"0 to 1000 entries, with names and hashes that differ", tokensFault},
		"api.tokens_file":        optionalFile(),
		"api.rate":               within(0, 1_000_000),
		"api.burst":              within(1, 1_000_000),
		"api.max_connections":    within(1, 1_000_000),
		"api.cors.origins":       list(0, 100, "origins of http or https", originFault),
		"api.client.token":       secret(),
		"api.client.ca_file":     optionalFile(),
		"api.client.cert_file":   optionalFile(),
		"api.client.key_file":    optionalFile(),
		"api.client.server_name": text("empty, or a host name, at most 200 bytes", userFault),
	}
}

func tokensFault(value any) string {
	grants := []access.Grant{}
	for _, t := range value.([]Token) {
		grants = append(grants, access.Grant(t))
	}
	if err := access.CheckAll(grants); err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return ""
}

func scheduleFault(s string) string {
	if _, err := schedule.Parse(s); err != nil {
		return quote(s) + " is " + err.Error()
	}
	return ""
}

func addressFault(s string) string {
	_, _, fault := splitAddress(s, 0)
	return fault
}

// originFault takes what a browser sends as Origin.
func originFault(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || s != strings.ToLower(u.Scheme+"://"+u.Host) {
		return quote(s) + " is not an origin; write a scheme and a host in lower case, like https://reports.example.com"
	}
	return ""
}

// connectionLimits are those of the servers clickagg speaks to.
func connectionLimits() map[string]limit {
	all := map[string]limit{
		"kafka.brokers":         list(0, 100, "addresses host:port", brokerFault),
		"kafka.topic_prefix":    text("letters, digits, '.', '_' and '-', at most 200", prefixFault),
		"kafka.replication":     within(1, 100),
		"kafka.min_insync":      within(1, 100),
		"kafka.retention":       within(time.Hour, 3650*day),
		"kafka.session_timeout": within(time.Second, time.Hour),
		"kafka.allow_plaintext": unlimited("true or false"),
		"kafka.sasl.mechanism":  oneOf("none", "plain", "scram-sha-256", "scram-sha-512"),
		"kafka.sasl.user":       text("a name, at most 200 bytes", userFault),
		"kafka.sasl.password":   secret(),

		"cassandra.hosts":           list(0, 100, "addresses host:port", brokerFault),
		"cassandra.keyspace":        text("a to z, digits and '_', a letter first, at most 48", keyspaceFault),
		"cassandra.datacenter":      text("empty, or a name, at most 200 bytes", userFault),
		"cassandra.replication":     list(1, 100, "words dc:number", replicationFault),
		"cassandra.consistency":     oneOf("local_quorum", "quorum", "each_quorum", "all", "local_one", "one", "two", "three"),
		"cassandra.user":            text("a name, at most 200 bytes", userFault),
		"cassandra.password":        secret(),
		"cassandra.allow_plaintext": unlimited("true or false"),
		"cassandra.counts_ttl":      within(time.Hour, 7300*day),
		"cassandra.rankings_ttl":    within(time.Hour, 7300*day),
		"cassandra.lineage_ttl":     within(time.Hour, 7300*day),
		"cassandra.raw_ttl":         within(time.Hour, 7300*day),
		"cassandra.in_flight":       within(1, 10_000),
		"cassandra.timeout":         within(100*time.Millisecond, 5*time.Minute),

		"archive.after": zeroOr(within(archiveLeast, 7299*day)),
	}
	for _, section := range []string{"snapshots.", "archive."} {
		all[section+"url"] = text("empty, a path, or s3://bucket/prefix", placeFault)
		all[section+"s3.endpoint"] = text("empty, or an http or https URL", urlFault)
		all[section+"s3.region"] = text("a name, at most 200 bytes", userFault)
		all[section+"s3.access_key"] = secret()
		all[section+"s3.secret_key"] = secret()
		all[section+"s3.ca_file"] = optionalFile()
	}
	for _, section := range []string{"kafka.tls.", "cassandra.tls."} {
		all[section+"enabled"] = unlimited("true or false")
		all[section+"ca_file"] = optionalFile()
		all[section+"cert_file"] = optionalFile()
		all[section+"key_file"] = optionalFile()
		all[section+"server_name"] = text("empty, or a host name, at most 200 bytes", userFault)
	}
	return all
}

func unlimited(says string) limit {
	return limit{says, func(any) string { return "" }}
}

// within takes numbers and durations from least to most. A duration is whole
// milliseconds, the unit of every time on the wire.
func within[T cmp.Ordered](least, most T) limit {
	says := fmt.Sprintf("%s to %s", show(least), show(most))
	return limit{says, func(value any) string {
		v := value.(T)
		if v < least || v > most {
			return fmt.Sprintf("%s is not within %s", show(v), says)
		}
		if d, ok := value.(time.Duration); ok && d%time.Millisecond != 0 {
			return show(v) + " is not a whole number of milliseconds"
		}
		return ""
	}}
}

func windowSize() limit {
	span := within(time.Second, time.Hour)
	return limit{span.says + ", dividing an hour", func(value any) string {
		if fault := span.fault(value); fault != "" {
			return fault
		}
		if d := value.(time.Duration); time.Hour%d != 0 {
			return show(d) + " does not divide an hour; take one that does, such as 10s, 1m, 5m or 15m"
		}
		return ""
	}}
}

func oneOf(words ...string) limit {
	says := strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	return text(says, func(s string) string {
		if slices.Contains(words, s) {
			return ""
		}
		return fmt.Sprintf("%s is none of %s", quote(s), strings.Join(words, ", "))
	})
}

func text(says string, fault func(string) string) limit {
	return limit{says, func(value any) string { return fault(value.(string)) }}
}

// zeroOr takes a duration of zero as well.
func zeroOr(l limit) limit {
	return limit{says: "0s, or " + l.says, fault: func(value any) string {
		if value == time.Duration(0) {
			return ""
		}
		return l.fault(value)
	}}
}

func emptyOr(l limit) limit {
	return limit{"empty, or " + l.says, func(value any) string {
		if value == "" {
			return ""
		}
		return l.fault(value)
	}}
}

func list(least, most int, says string, fault func(string) string) limit {
	says = fmt.Sprintf("%d to %d %s", least, most, says)
	return limit{says, func(value any) string {
		words := value.([]string)
		if n := len(words); n < least || n > most {
			return fmt.Sprintf("has %d entries; %s are taken", n, says)
		}
		seen := map[string]bool{}
		for _, w := range words {
			if f := fault(w); f != "" {
				return f
			}
			if seen[w] {
				return quote(w) + " is listed twice"
			}
			seen[w] = true
		}
		return ""
	}}
}

// topicFault follows Kafka's own rule for names.
func topicFault(s string) string {
	if f := legalFault(s, 249); f != "" {
		return quote(s) + " is no name for a topic: " + f
	}
	return ""
}

// patternFault takes a name of a topic, or the beginning of some and a star.
func patternFault(s string) string {
	if begin, ok := strings.CutSuffix(s, "*"); ok && begin != "" {
		s = begin
	}
	return topicFault(s)
}

// prefixFault leaves room for what clickagg puts after the prefix.
func prefixFault(s string) string {
	if f := legalFault(s, 200); f != "" {
		return quote(s) + " cannot begin the name of a topic: " + f
	}
	return ""
}

func legalFault(s string, most int) string {
	illegal := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}
	switch {
	case s == "":
		return "it is empty"
	case s == "." || s == "..":
		return "Kafka refuses it"
	case len(s) > most:
		return fmt.Sprintf("it is longer than %d", most)
	case strings.ContainsFunc(s, illegal):
		return "only letters, digits, '.', '_' and '-' are allowed"
	}
	return ""
}

func fieldFault(s string) string {
	switch {
	case s == "":
		return "the name of a field is empty"
	case len(s) > 200:
		return quote(s) + " is longer than 200 bytes"
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return quote(s) + " has a character that no field name has"
	}
	return ""
}

// typeFault takes a field's name and its type after a colon.
func typeFault(s string) string {
	name, t := cutType(s)
	if f := fieldFault(name); f != "" {
		return f
	}
	if _, err := filter.ParseType(t); err != nil {
		return quote(s) + " is not name:type with a type of string, int, float or bool"
	}
	return ""
}

// cutType takes a word of input.types apart; a name may have colons.
func cutType(s string) (name, t string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func pathFault(s string) string {
	switch {
	case s == "":
		return "is empty; name a directory"
	case len(s) > 4096 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return quote(s) + " is no path"
	}
	return ""
}

func optionalFile() limit {
	return emptyOr(text("a path", pathFault))
}

// secret has no limit of its own: what it refers to was read before.
func secret() limit {
	return unlimited("file:/path, env:NAME or cred:NAME; empty is none")
}

func userFault(s string) string {
	if len(s) > 200 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return quote(s) + " is no name: it is longer than 200 bytes or has characters that cannot be printed"
	}
	return ""
}

func groupFault(s string) string {
	if s == "" {
		return ""
	}
	if f := legalFault(s, 40); f != "" || strings.Contains(s, ".") {
		return quote(s) + " is no name for a group: only letters, digits, '_' and '-' are allowed, at most 40"
	}
	return ""
}

func rollupFault(s string) string {
	if s == "1h" || s == "24h" {
		return ""
	}
	return quote(s) + " is not rolled up to; 1h and 24h are"
}

// zoneFault takes no name that stands for another zone on another machine.
func zoneFault(s string) string {
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" {
		return quote(s) + " is no time zone; write it like UTC or Europe/Berlin"
	}
	return ""
}

// keyspaceFault follows Cassandra's own rule for names that need no quotes.
func keyspaceFault(s string) string {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' }
	odd := func(r rune) bool { return !letter(r) && (r < '0' || r > '9') && r != '_' }
	if s == "" || len(s) > 48 || !letter(rune(s[0])) || strings.ContainsFunc(s, odd) {
		return quote(s) + " is no name for a keyspace: only a to z, digits and '_' are allowed, a letter first, at most 48"
	}
	return ""
}

func replicationFault(s string) string {
	dc, count, ok := strings.Cut(s, ":")
	n, err := strconv.Atoi(count)
	if !ok || dc == "" || err != nil || n < 1 || n > 100 || userFault(dc) != "" || strings.ContainsAny(dc, "'\"") {
		return quote(s) + " is not dc:number; write it like dc1:3"
	}
	return ""
}

// placeFault takes a directory or the place in an object storage.
func placeFault(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case s == "":
		return ""
	case !ok:
		return pathFault(s)
	case scheme != "s3":
		return quote(s) + " has a scheme that is not known; write a path or s3://bucket/prefix"
	}
	bucket, _, _ := strings.Cut(rest, "/")
	if f := legalFault(bucket, 63); f != "" {
		return quote(s) + " names no bucket; write s3://bucket/prefix"
	}
	return ""
}

func brokerFault(s string) string {
	host, _, fault := splitAddress(s, 1)
	if fault == "" && host == "" {
		fault = quote(s) + " lacks the host; write host:port"
	}
	return fault
}

// listener takes loopback addresses only: what listens there has neither TLS
// nor authentication.
func listener() limit {
	return text("host:port on loopback; port 0 takes a free one", func(s string) string {
		host, _, fault := splitAddress(s, 0)
		if fault != "" || isLoopback(host) {
			return fault
		}
		return quote(s) + " can be reached from other machines, which needs TLS and authentication, and what listens there has neither; " +
			"listen on 127.0.0.1, [::1] or localhost and put a proxy that has both in front"
	})
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func splitAddress(s string, leastPort int) (host, port, fault string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsFunc(host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", "", quote(s) + " is not an address; write host:port"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || int(n) < leastPort {
		return "", "", fmt.Sprintf("%s has no port from %d to 65535; write host:port", quote(s), leastPort)
	}
	return host, port, ""
}

func urlFault(s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return quote(s) + " is not a URL; write it like http://127.0.0.1:8080"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return quote(u.Redacted()) + " has more than a scheme, a host and a path; leave the rest out"
	}
	return ""
}
