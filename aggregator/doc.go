// Package aggregator is the aggregate role: each shard folds its partition of
// the shuffle topic into counts per ad and window and sends partials on.
//
// The counting itself is aggregator/window, a pure state machine; internal/stage
// runs it. What this room adds is where its words go: partials to the reducers'
// partitions, and the few clicks a shard had to refuse to the rejected topic.
// Start at [Aggregator.Shard].
package aggregator
