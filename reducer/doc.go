// Package reducer is the reduce role: it merges what the shards say of their
// windows into results, one ranked list and one lineage per window, and marks of
// completeness.
//
// The merging itself is reducer/merge, a pure state machine; internal/stage runs
// it. What this room adds is how its words look outside: readable JSON on the
// results and rankings topics. Start at [Reducer.Partition].
package reducer
