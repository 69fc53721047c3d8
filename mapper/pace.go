package mapper

import (
	"slices"
	"sync/atomic"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// pace keeps the sources of an installation close together in event time while they
// catch up: a shard must keep open what the slowest source may still add to, so
// a source that ran far ahead would only fill memory.
//
// How far sources of other processes are is known a second late or two. So a source
// may be farther ahead of them by leash clicks: they fill no memory to speak of, and
// without them sources of a thin history would wait for each other most of the time.
type pace struct {
	lead   int64                     // ms a source may be ahead of the slowest one with a backlog
	lanes  atomic.Pointer[[]*lane]   // replaced as a whole when a source starts or ends
	others atomic.Pointer[[]foreign] // the sources of other processes, as last seen
}

// leash is how many clicks a source may be ahead of another process's.
const leash = 100_000

// lane is one source's place in the pace.
type lane struct {
	p         *pace
	name      stream.Partition
	watermark atomic.Int64
	behind    atomic.Bool // it has records to read

	clicks, near int64 // handed over so far, and when it was last not ahead of a foreign one; the source's own
}

// foreign is how far a source of another process is.
type foreign struct {
	name      stream.Partition
	watermark int64
	behind    bool
}

func (p *pace) enter(name stream.Partition) *lane {
	l := &lane{p: p, name: name}
	l.at(click.None, 0)
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

// own returns the lanes of this process.
func (p *pace) own() []*lane {
	if lanes := p.lanes.Load(); lanes != nil {
		return *lanes
	}
	return nil
}

func (l *lane) at(watermark, clicks int64) {
	l.watermark.Store(watermark)
	l.clicks = clicks
}

func (l *lane) backlog(yes bool) { l.behind.Store(yes) }

// waits tells whether the source must wait before it reads on, and for which one.
func (l *lane) waits() (other stream.Partition, yes bool) {
	own := l.watermark.Load()
	if own == click.None {
		return other, false
	}
	ahead := func(w int64, behind bool) bool { return behind && w != click.None && own-w > l.p.lead }
	lanes := l.p.own()
	for _, o := range lanes {
		if o != l && ahead(o.watermark.Load(), o.behind.Load()) {
			return o.name, true
		}
	}
	if others := l.p.others.Load(); others != nil {
		for _, o := range *others {
			if ahead(o.watermark, o.behind) && !slices.ContainsFunc(lanes, func(l *lane) bool { return l.name == o.name }) {
				return o.name, l.clicks-l.near > leash
			}
		}
	}
	l.near = l.clicks
	return other, false
}
