package load

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream"
)

// finish says to every partition that no click before the end of the newest
// window follows, and returns that end. Without a click there is nothing to say.
func finish(ctx context.Context, log stream.Log, topic stream.Topic, greatest int64, window time.Duration) (int64, error) {
	if greatest == click.None {
		return click.None, nil
	}
	size := cmp.Or(window, time.Minute).Milliseconds()
	end := greatest - greatest%size + size
	messages := make([]stream.Message, topic.Partitions)
	for p := range messages {
		messages[p] = stream.Message{
			Partition: int32(p),
			Headers:   []click.Header{{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, end, 10)}},
		}
	}
	if err := appendAll(ctx, log, topic.Name, messages); err != nil {
		return click.None, fmt.Errorf("finish: %w", err)
	}
	return end, nil
}

// waitFailures is how many questions in a row may go without an answer.
const waitFailures = 20

// WaitOptions says what to wait for.
type WaitOptions struct {
	// Until is the time before which everything must be complete, Unix ms:
	// [Report.Watermark].
	Until int64
	// Poll asks until when everything is complete; click.None is not known yet.
	Poll     func(ctx context.Context) (completeUntil int64, err error)
	Every    time.Duration // between two questions; 0 is 200 ms
	Out      io.Writer     // for progress; nil is nowhere
	Terminal bool          // whether Out is one
}

// Wait returns nil when everything before the time is complete, the last error
// when 20 questions in a row failed, and ctx's error when it ends.
func Wait(ctx context.Context, o WaitOptions) error {
	tick := time.NewTicker(cmp.Or(o.Every, 200*time.Millisecond))
	defer tick.Stop()
	var bar *progress.Bar
	var first int64
	for failures := 0; ; {
		until, err := o.Poll(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			if failures++; failures == waitFailures {
				return fmt.Errorf("wait for final counts: %w", err)
			}
		case bar == nil && until >= o.Until:
			return nil
		case until == click.None:
			failures = 0
		default:
			failures = 0
			if bar == nil {
				first = until
				bar = progress.Start(o.Out, o.Terminal, o.Until-first, "minutes final")
				defer bar.Finish()
			}
			done := min(until, o.Until) - first
			if bar.Set(done, done/time.Minute.Milliseconds()); until >= o.Until {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
