package sim

import (
	"fmt"
	"strconv"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// kind is what a produced record is.
type kind uint8

const (
	fresh   kind = iota // a click with a new id
	repeat              // a click that was produced before, the same bytes
	garbage             // not a click
	closing             // a watermark record
)

// event is one produced record, as its maker knows it.
type event struct {
	kind kind
	ad   string
	id   int
	at   int64 // event time; of a watermark record, the watermark
	tags
}

// maker produces clicks: mostly in time, some out of order, late, repeated,
// forged or broken.
type maker struct {
	w    *world
	ids  int
	made int    // records
	past []made // clicks that may be repeated
}

type made struct {
	event
	partition int
}

func newMaker(w *world) maker { return maker{w: w} }

// produce appends one record to a partition of the input.
func (m *maker) produce() {
	w := m.w
	p := w.choose(w.cfg.sources, "which source")
	if m.made++; m.made <= w.weather.lopsided {
		p = 0
	}
	if len(m.past) > 0 && w.weather.oneIn(w, w.weather.repeat, "a click is repeated") {
		old := m.past[w.choose(len(m.past), "which click")]
		if w.choose(4, "in its own source or another") == 3 {
			old.partition = p // still the only one while the weather is lopsided
		}
		old.kind = repeat
		m.land(old.partition, old.event)
		return
	}
	if w.weather.oneIn(w, w.weather.garbage, "a record is garbage") {
		m.land(p, event{kind: garbage})
		return
	}
	m.ids++
	e := event{ad: m.ad(), id: m.ids, at: w.now - int64(w.choose(3_000, "how old the click is"))}
	e.tags = tags{w.choose(3, "which country"), w.choose(2, "which device")}
	e.at -= int64(w.weather.history) * 3_600_000
	switch {
	case w.weather.oneIn(w, w.weather.disorder, "a click comes out of order"):
		e.at -= int64(w.choose(14_000, "how far"))
	case w.weather.oneIn(w, w.weather.late, "a click comes late"):
		e.at -= int64(w.choose(int(w.cfg.size+w.cfg.rules.lateness+w.cfg.rules.delay)+60_000, "how late"))
	case w.weather.oneIn(w, w.weather.forged, "a click has a forged time"):
		e.at += int64(w.choose(3_600_000, "how far ahead"))
	}
	m.land(p, e)
	m.past = append(m.past, made{e, p})
}

// ad draws an ad. In hot weather one of two has most clicks, for a while each.
func (m *maker) ad() string {
	w := m.w
	if w.weather.hot > 0 && w.choose(10, "a hot ad") > 0 {
		return "ad" + strconv.Itoa(m.made/30%3)
	}
	return "ad" + strconv.Itoa(w.choose(5, "which ad"))
}

func (m *maker) land(partition int, e event) {
	w := m.w
	var value []byte
	var headers []click.Header
	switch e.kind {
	case garbage:
		value = []byte(`{"event_id":"x",`)
	case closing:
		headers = []click.Header{{Key: click.HeaderWatermark, Value: strconv.AppendInt(nil, e.at, 10)}}
	default:
		value = fmt.Appendf(nil, `{"event_id":"%d","ad_id":"%s","ts":%d,"country":"c%d","device":"d%d"}`, e.id, e.ad, e.at, e.country, e.device)
	}
	w.produced[partition] = append(w.produced[partition], e)
	w.log.land(w.now, input, []stream.Message{{Partition: int32(partition), Value: value, Headers: headers}})
}

// finish closes every window there is a click for.
func (m *maker) finish() {
	for p := range m.w.cfg.sources {
		m.land(p, event{kind: closing, at: m.w.now})
	}
}
