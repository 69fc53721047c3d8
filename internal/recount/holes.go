package recount

import (
	"context"

	"github.com/clickagg/clickagg/internal/click"
)

// holesMost is how many holes are looked up in the log.
const holesMost = 100_000

// hole is some offsets of a source, [from, to), without a record where they were read.
type hole struct {
	source   click.Source
	from, to int64
}

// run is [Run], and looks up holes in what was kept, if nobody else wants to know of them: records that were lost there
// leave such, and so do offsets that never had one.
func (i *Installation) run(ctx context.Context, inputs []Input, span Range, rules Rules, watch func(done, total int64) error, sink func(*Window) error) (Report, error) {
	if rules.Hole != nil {
		return Run(ctx, inputs, span, rules, watch, sink)
	}
	var holes []hole
	rules.Hole = func(s click.Source, from, to int64) {
		if len(holes) <= holesMost {
			holes = append(holes, hole{s, from, to})
		}
	}
	report, err := Run(ctx, inputs, span, rules, watch, sink)
	if _, log := inputs[report.Input].(*logInput); log || err != nil {
		return report, err
	}
	report.Whole = report.Whole && len(holes) <= holesMost
	for _, h := range holes {
		if !report.Whole {
			break
		}
		empty, err := i.empty(ctx, h)
		if err != nil {
			return report, err
		}
		report.Whole = empty
	}
	return report, nil
}

// empty tells whether the log still has the offsets of a hole, and no record at them.
func (i *Installation) empty(ctx context.Context, h hole) (bool, error) {
	records := 0
	known, err := i.InLog(ctx, h.source, h.from, h.to, func(*click.Record) error {
		records++
		return nil
	})
	return known && records == 0, err
}
