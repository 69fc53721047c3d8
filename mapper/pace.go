package mapper

import (
	"slices"
	"sync/atomic"

	"github.com/clickagg/clickagg/internal/click"
)

// pace keeps the sources of one process close together in event time while they
// catch up: a shard must keep open what the slowest source may still add to, so
// a source that ran far ahead would only fill memory.
type pace struct {
	lead  int64                   // ms a source may be ahead of the slowest one with a backlog
	lanes atomic.Pointer[[]*lane] // replaced as a whole when a source starts or ends
}

// lane is one source's place in the pace.
type lane struct {
	p         *pace
	watermark atomic.Int64
	behind    atomic.Bool // it has records to read
}

func (p *pace) enter() *lane {
	l := &lane{p: p}
	l.at(click.None)
	p.change(func(lanes []*lane) []*lane { return append(lanes, l) })
	return l
}

func (l *lane) leave() {
	l.p.change(func(lanes []*lane) []*lane {
		return slices.DeleteFunc(lanes, func(o *lane) bool { return o == l })
	})
}

func (p *pace) change(f func([]*lane) []*lane) {
	for {
		old := p.lanes.Load()
		var lanes []*lane
		if old != nil {
			lanes = slices.Clone(*old)
		}
		lanes = f(lanes)
		if p.lanes.CompareAndSwap(old, &lanes) {
			return
		}
	}
}

func (l *lane) at(watermark int64) { l.watermark.Store(watermark) }
func (l *lane) backlog(yes bool)   { l.behind.Store(yes) }

// free tells whether the source may read on.
func (l *lane) free() bool {
	own := l.watermark.Load()
	if own == click.None {
		return true
	}
	for _, o := range *l.p.lanes.Load() {
		if o == l || !o.behind.Load() {
			continue
		}
		if w := o.watermark.Load(); w != click.None && own-w > l.p.lead {
			return false
		}
	}
	return true
}
