package config

import (
	"fmt"
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
	return faults
}

// relation binds knobs to each other.
type relation struct {
	keys  []string // the one to change first
	says  string   // for the reference page: a sentence
	fault func(c Config) string
}

func relations() []relation {
	open := []string{"window.size", "window.allowed_lateness", "watermark.delay"}
	return []relation{
		{
			keys:  append([]string{"dedupe.horizon"}, open...),
			says:  "`dedupe.horizon` is at least `window.size` + `window.allowed_lateness` + `watermark.delay`: a click that may still be counted must be one whose id is still held.",
			fault: horizonFault,
		},
		{
			keys:  append([]string{"embedded.retention"}, open...),
			says:  "`embedded.retention` is at least `window.size` + `window.allowed_lateness` + `watermark.delay`: a click that may still be counted must still be in the log.",
			fault: retentionFault,
		},
		{
			keys:  []string{"watermark.skew_margin", "watermark.delay"},
			says:  "`watermark.skew_margin` is at most `watermark.delay`: the margin is part of the delay.",
			fault: marginFault,
		},
		{
			keys:  []string{"watermark.trusted_topics", "input.topics"},
			says:  "`watermark.trusted_topics` names topics of `input.topics` only.",
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
	}
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
	if c.Embedded.Retention >= least {
		return ""
	}
	return fmt.Sprintf("%s is shorter than %s, so a click could leave the log before its window closes; raise it to at least %s or lower one of the others",
		show(c.Embedded.Retention), c.openSum(), show(least))
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

func trustFault(c Config) string {
	for _, t := range c.Watermark.TrustedTopics {
		if !slices.Contains(c.Input.Topics, t) {
			return fmt.Sprintf("%s is not in input.topics (%s); add it there or remove it here", quote(t), strings.Join(c.Input.Topics, ", "))
		}
	}
	return ""
}

func loopFault(c Config) string {
	for _, t := range c.Input.Topics {
		if strings.HasPrefix(t, c.Kafka.TopicPrefix+".") {
			return fmt.Sprintf("%s begins with kafka.topic_prefix %s and a dot, as clickagg's own topics do; read another topic or change the prefix", quote(t), quote(c.Kafka.TopicPrefix))
		}
	}
	return ""
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
