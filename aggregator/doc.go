// Package aggregator is the aggregate role: each shard folds its partition of
// the shuffle topic into counts per ad and window and sends partials on.
//
// The counting itself is aggregator/window, a pure state machine; internal/stage
// runs it. What this room adds is where its words go: partials to the reducers'
// partitions, and the few clicks a shard had to refuse to the rejected topic. It
// also decides which ads are spread over several shards, because they have so many
// clicks; see heat.go. That has no influence on any count.
// Start at [Aggregator.Shard].
package aggregator
