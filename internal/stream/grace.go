package stream

import (
	"context"
	"time"
)

// Grace returns a context that outlives ctx by a while, for a call that should
// not be given up half-way when the process is told to stop: what it has begun to
// say would be said again, perhaps by other rules, after the next start. The
// returned function frees it and must be called.
func Grace(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}
