package reconcile

import (
	"context"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
)

// hole is a stretch of offsets without a record where it was looked for.
type hole struct {
	source   click.Source
	from, to int64
}

// holesMost is how many holes are looked into.
const holesMost = 100_000

func (c *run) hole(s click.Source, from, to int64) {
	if len(c.holes) == holesMost {
		c.beyond += to - from
		return
	}
	c.holes = append(c.holes, hole{s, from, to})
}

// records looks in the log for the records that the raw store has not. Most likely there are
// none: in a log, others than records take offsets too.
func (c *run) records(ctx context.Context) error {
	if c.report.Recount.FromLog() {
		return nil
	}
	c.report.Unknown = c.beyond
	for _, h := range c.holes {
		known, err := c.Clicks.InLog(ctx, h.source, h.from, h.to, func(r *click.Record) error {
			where := fmt.Sprintf("%s/%d", h.source, r.Offset)
			c.find(Difference{Kind: Record, Start: r.Append, Where: where, Source: h.source, Offset: r.Offset, Parts: []cause.Part{{Cause: cause.MissingRaw, Clicks: 1, Where: []string{where}}}})
			return nil
		})
		if err != nil {
			return fmt.Errorf("look for what the raw store lacks: %w", err)
		}
		if !known {
			c.report.Unknown += h.to - h.from
		}
	}
	return nil
}
