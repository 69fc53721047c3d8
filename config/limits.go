package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// limit is what values a knob takes.
type limit struct {
	says  string                 // for the reference page
	fault func(value any) string // what is wrong with a value; empty when nothing is
}

// limits holds every knob to a limit of its own; what binds two of them stands
// in relations.
func limits() map[string]limit {
	const day = 24 * time.Hour
	fields := text("a field name, at most 200 bytes", fieldFault)
	return map[string]limit{
		"data_dir": text("a path", pathFault),

		"kafka.brokers":      list(0, 100, "addresses host:port", brokerFault),
		"kafka.topic_prefix": text("letters, digits, '.', '_' and '-', at most 200", prefixFault),

		"embedded.listen":      listener(),
		"embedded.partitions":  within(1, 1024),
		"embedded.sync_writes": unlimited("true or false"),
		"embedded.retention":   within(time.Hour, 3650*day),

		"input.topics":           list(1, 100, "topic names", topicFault),
		"input.fields.event_id":  fields,
		"input.fields.ad_id":     fields,
		"input.fields.ts":        fields,
		"input.time_unit":        oneOf("s", "ms", "us", "ns"),
		"input.max_record_bytes": within(256, 1_000_000), // a rejected record goes on whole, in a Kafka message of 1 MiB with its headers

		"window.size":             windowSize(),
		"window.allowed_lateness": within(0, 3*day),

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
		"aggregator.tick":              within(10*time.Millisecond, time.Minute),
		"aggregator.top":               within(1, 10_000),
		"aggregator.snapshot_interval": within(100*time.Millisecond, time.Hour),
		"aggregator.max_ids":           within(1_000, 1_000_000_000),
		"aggregator.max_ads":           within(100, 50_000_000),

		"reducer.partitions": within(1, 1024),

		"api.listen": listener(),
		"api.url":    text("empty, or an http or https URL", urlFault),

		"ops.listen": emptyOr(listener()),

		"log.level":  oneOf("debug", "info", "warn", "error"),
		"log.format": oneOf("console", "json"),

		"shutdown.timeout": within(100*time.Millisecond, time.Hour),
	}
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

func pathFault(s string) string {
	switch {
	case s == "":
		return "is empty; name a directory"
	case len(s) > 4096 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return quote(s) + " is no path"
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
// nor authentication yet.
func listener() limit {
	return text("host:port on loopback; port 0 takes a free one", func(s string) string {
		host, _, fault := splitAddress(s, 0)
		if fault != "" || isLoopback(host) {
			return fault
		}
		return quote(s) + " can be reached from other machines, which needs TLS and authentication, and this release has neither; " +
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
