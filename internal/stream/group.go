package stream

import "context"

// Partition names one partition of a topic.
type Partition struct {
	Topic  string
	Number int32
}

// Membership is what a process says of itself when it joins a group.
type Membership struct {
	Group string
	// Process names this process for as long as its data directory lives. One that
	// died and is started again with the same name takes its partitions back at
	// once; another process that takes the name makes this one fail with ErrReplaced.
	Process string
	// Partitions lists what the group works on, and is asked again now and then. What is
	// not listed is nobody's; after an error the list before stays.
	Partitions func(ctx context.Context) ([]Partition, error)
	// Own is told which partitions are this process's when it has become a member, be it
	// none, and each time that changes. It must not block. What is in both the old and
	// the new list was not interrupted.
	Own func(owned []Partition)
}

// Groups shares partitions out among the processes that join a group.
type Groups interface {
	// Join keeps this process in the group until ctx ends, then leaves it, so that
	// others take over at once. Faults that may pass are tried again inside.
	Join(ctx context.Context, m Membership) error
}
