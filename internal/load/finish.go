package load

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/clickagg/clickagg/internal/click"
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
