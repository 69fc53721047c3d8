package stream

import (
	"context"
	"time"
)

// Clock is a process's own clock. Stages pace heartbeats, commits and snapshots
// by it and decide nothing with it: what must be the same in every instance
// reads its time from the log.
type Clock interface {
	Now() time.Time
	// Sleep waits, or returns ctx's error when ctx ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

// Wall is the machine's clock.
type Wall struct{}

var _ Clock = Wall{}

// Now is the time of day.
func (Wall) Now() time.Time { return time.Now() }

// Sleep waits in real time.
func (Wall) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
