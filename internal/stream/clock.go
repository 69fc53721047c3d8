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

// BrokerClock is a log that knows what time its brokers have. A machine's own clock
// may be set to anything; that of the brokers is the one records are stamped with.
type BrokerClock interface {
	// BrokerTime returns the least that the clock of a broker this process has heard
	// of last can have shown at a moment of this process's clock, of which only the
	// time that has gone by since counts. It returns false while no broker has told
	// one. Brokers' clocks differ from each other.
	BrokerTime(at time.Time) (time.Time, bool)
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
