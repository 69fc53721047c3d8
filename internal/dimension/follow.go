package dimension

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// followEvery is how long the control topic is waited for, and until what failed is
// tried again.
const followEvery = 5 * time.Second

// Follow calls f with all facts when filters were said, before or meanwhile, until ctx
// ends, which is no error. What f could not do it is called for again. It starts from
// the facts as the process read them.
func Follow(ctx context.Context, log stream.Log, topic string, facts control.Facts, clock stream.Clock, logger *zap.Logger,
	f func(context.Context, *control.Facts) error,
) error {
	done := int64(-1) // version of the set that f was told of
	for failing := false; ; {
		now, err := control.Refresh(ctx, log, topic, facts)
		if err == nil {
			facts = now
			if set, said := facts.Filters(); said && set.Version != done {
				if err = f(ctx, &facts); err == nil {
					done = set.Version
				}
			}
		}
		if err == nil {
			err = control.Await(ctx, log, topic, facts, followEvery)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failing {
			logger.Warn("what was said of filters is not followed; tried again", zap.Duration("every", followEvery), zap.Error(err))
		}
		if failing = err != nil; failing && clock.Sleep(ctx, followEvery) != nil {
			return nil
		}
	}
}
