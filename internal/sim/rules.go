package sim

import (
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

const mapperGroup = "mapper"

// rules are those keys of a mapper's configuration that change in a history.
type rules struct{ lateness, delay, horizon int64 }

// longest are the greatest rules that are drawn.
var longest = rules{lateness: 240_000, delay: 60_000, horizon: 600_000}

// keys are the rules as the configuration has them.
func (r rules) keys() map[string]string {
	return map[string]string{
		"lateness": strconv.FormatInt(r.lateness, 10), "delay": strconv.FormatInt(r.delay, 10), "horizon": strconv.FormatInt(r.horizon, 10),
	}
}

// era is a part of a source that was judged by the same rules. It begins at an
// offset, with what its predecessor had closed by then.
type era struct {
	from, closed int64
	rules        rules
}

// draw gives a process what it is started with.
func (p *proc) draw() {
	w := p.w
	p.known, p.wrote = map[string]stream.Position{}, map[string]bool{}
	p.rules = p.role.rules
	changes := w.weather.oneIn(w, w.weather.ruled, "started with other rules") || p.role.changes && !w.calm()
	p.role.changes = false
	if strings.HasPrefix(p.role.name, mapperGroup) && changes {
		p.rules = rules{w.draw(longest.lateness, "which lateness"), w.draw(longest.delay, "which delay"), w.draw(longest.horizon, "which horizon")}
	}
	w.ruled[control.Fingerprint(p.rules.keys())] = p.rules
	p.ahead = int64(w.choose(int(w.cfg.margin)*5, "how far the brokers' clock is known to be behind")) - 4*w.cfg.margin
}

// draw draws a duration, often the least or the greatest.
func (w *world) draw(longest int64, what string) int64 {
	switch w.choose(4, what+": least, greatest or any") {
	case 0:
		return 0
	case 1:
		return longest
	}
	return int64(w.choose(int(longest), what))
}

// refuse makes the next process judge by the rules of the source's position.
func (r *role) refuse(w *world) {
	w.refused++
	if p, ok := w.position(r); ok {
		r.rules = w.ruled[p.print]
	}
}

// position is what a mapper has committed, as far as the simulation looks at it.
type position struct {
	print string
	state rule.State
}

func (w *world) position(r *role) (position, bool) {
	source, err := strconv.Atoi(strings.TrimPrefix(r.name, mapperGroup+" "))
	if err != nil {
		return position{}, false
	}
	return parsePosition(w.log.positions[positionKey(mapperGroup, input, int32(source))].Metadata)
}

func parsePosition(metadata string) (p position, ok bool) {
	f := strings.SplitN(metadata, "/", 5)
	if len(f) != 5 {
		return p, false
	}
	s, err := rule.DecodeState(f[4])
	return position{f[1], s}, err == nil
}

// judged notes an era's beginning, which is in the position before anything is
// judged in it.
func (w *world) judged(source int32, at stream.Position) {
	p, ok := parsePosition(at.Metadata)
	if !ok {
		return
	}
	eras := w.eras[source]
	if n := len(eras); n == 0 || eras[n-1].rules != w.ruled[p.print] {
		w.eras[source] = append(eras, era{from: at.Offset, closed: p.state.Closed, rules: w.ruled[p.print]})
	}
}

// eraOf finds the rules an offset was judged by, and tells whether it is the first.
func eraOf(eras []era, offset int64) (e era) {
	e.closed = click.None
	for _, o := range eras {
		if o.from <= offset {
			e = o
		}
	}
	return e
}
