// Package hot is what operators see of hot ads and may do about them: it lists
// which ads are spread over several shards, and lets one be pinned.
//
// All of it stands in the control topic, which decides; see internal/control. A
// pin holds, as every such fact, from the end of the minutes that mappers have
// opened. Start reading at [Pin].
package hot
