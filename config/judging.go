package config

import "slices"

// judging are the keys that decide what becomes of a click. Another value gives
// other verdicts on the same log.
var judging = []string{
	"input.fields.event_id", "input.fields.ad_id", "input.fields.ts", "input.time_unit", "input.max_record_bytes",
	"window.allowed_lateness", "watermark.delay", "watermark.max_future", "watermark.idle_timeout", "watermark.trusted_topics",
	"dedupe.horizon", "dedupe.key", "aggregator.max_ids", "aggregator.max_ads",
}

// Judging returns the values of the keys that decide what becomes of a click.
// They may be changed only after an orderly stop: what a crash left half said is
// judged again, and must get the same verdict.
func (c Config) Judging() map[string]string {
	out := make(map[string]string, len(judging))
	for n := range c.nodes() {
		if slices.Contains(judging, n.path) {
			out[n.path] = show(n.value.Interface())
		}
	}
	return out
}
