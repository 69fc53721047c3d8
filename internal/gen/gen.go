package gen

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/clickagg/clickagg/internal/click"
)

// Kind says what a correct pipeline makes of an event.
type Kind uint8

// The kinds of event.
const (
	Click    Kind = iota // counted
	Repeat               // a duplicate: the bytes of an earlier click again
	Conflict             // a conflict: id, ad and time of an earlier click, other bytes
	Garbage              // rejected for the event's Reason
)

// Event is one record to produce. Its slices are views that stay valid until
// the next call of [Generator.Next]. Copies have the key of their first one, so
// that they land in its partition and after it.
type Event struct {
	Key    []byte
	Value  []byte
	Ad     []byte // a view into Value; nil for garbage
	At     int64  // event time, Unix ms; 0 for garbage
	Kind   Kind
	Reason click.Reason // of garbage
}

// Generator makes events one by one. It is used by one goroutine and allocates
// nothing per event once its buffers have grown.
type Generator struct {
	options Options
	random  rand.PCG
	ads     popularity
	events  int64
	emitted int64
	start   int64 // Unix ms; in live mode of the first event
	span    int64 // ms; not in live mode
	digits  int   // of an ad's number
	value   []byte
	id      []byte // of the newest click, spoilt or not
	user    uint64 // of the newest click
	held    held
	lent    int // slot of held that the last event is a view of, or -1

	garbage, late, repeat, copied uint64 // chances, of 2^64; copied is repeat or conflict
	perMs                         float64
	delayMax                      int64  // events
	disorder                      uint64 // ms
}

// heldMax bounds the copies that wait, and so the generator's memory.
const heldMax = 1 << 16

// New makes a generator, or says what is wrong with the options.
func New(o Options) (*Generator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	g := &Generator{
		options: o, random: *rand.NewPCG(o.Seed, 0x636c69636b616767), ads: newPopularity(o.Ads, o.Zipf),
		events: int64(o.Events), digits: 6, lent: -1, disorder: uint64(o.OutOfOrder.Milliseconds()),
	}
	for n := 1_000_000; n <= o.Ads; n *= 10 {
		g.digits++
	}
	if o.Now != nil {
		g.start = o.Now().UnixMilli()
		if g.events == 0 {
			g.events = math.MaxInt64
		}
	} else {
		g.start, g.span = o.Start.UnixMilli(), o.span()
	}
	// The chances are those of a new event, which garbage and clicks are; a copy
	// comes with a click that draws one.
	fresh := 1 - o.Repeat - o.Conflict
	clicks := max(fresh-o.Garbage, 1e-9)
	g.garbage, g.late = fraction(o.Garbage/fresh), fraction(o.Late)
	copied := o.Repeat + o.Conflict
	g.repeat, g.copied = fraction(o.Repeat/clicks), fraction(copied/clicks)
	// A copy waits a quarter of the greatest delay on average (see delayOf), so
	// that twice heldMax here keeps half of heldMax waiting.
	g.delayMax = int64(min(2*heldMax/max(copied, 1e-9), 1<<40))
	g.perMs = o.perMs()
	return g, nil
}

// fraction is f of 2^64, to be compared with 64 random bits.
func fraction(f float64) uint64 {
	if f >= 1 {
		return math.MaxUint64
	}
	return uint64(f * (1 << 63) * 2)
}

// below draws a number in [0, n).
func (g *Generator) below(n uint64) uint64 {
	high, _ := bits.Mul64(g.random.Uint64(), n)
	return high
}

// now is the newest event time, Unix ms.
func (g *Generator) now() int64 {
	if g.options.Now != nil {
		return g.options.Now().UnixMilli()
	}
	high, low := bits.Mul64(uint64(g.emitted), uint64(g.span))
	q, _ := bits.Div64(high, low, uint64(g.events))
	return g.start + int64(q)
}

// Next fills e with the next event and reports whether there was one.
func (g *Generator) Next(e *Event) bool {
	if g.emitted >= g.events {
		return false
	}
	if g.lent >= 0 {
		g.held.free(g.lent)
		g.lent = -1
	}
	now := g.now()
	for g.held.due(g.emitted) {
		slot := g.held.pop()
		if c := &g.held.slots[slot]; now-c.at <= MaxLag.Milliseconds() {
			g.lent = slot
			g.emit(e, c.value, c.at, c.kind)
			return true
		}
		g.held.free(slot) // a stalled live stream: it would come too late
	}
	if g.random.Uint64() < g.garbage {
		g.spoilt(e, now)
		return true
	}
	at := g.eventTime(now)
	g.value = g.appendClick(g.value[:0], at, &sound)
	g.hold(at, now)
	g.emit(e, g.value, at, Click)
	return true
}

// eventTime is somewhat behind now, or a good deal when the event is to be late.
func (g *Generator) eventTime(now int64) int64 {
	if g.random.Uint64() >= g.late {
		return max(now-int64(g.below(g.disorder+1)), min(g.start, now))
	}
	least, most := minLate.Milliseconds(), min(MaxLag.Milliseconds(), now-g.start)
	if most < least {
		return now // too early in the stream for anything to be late
	}
	return now - least - int64(g.below(uint64(most-least+1)))
}

// hold decides whether the click in g.value comes again, how and when.
func (g *Generator) hold(at, now int64) {
	u := g.random.Uint64()
	if u >= g.copied {
		return
	}
	delay := g.delayOf(MaxLag.Milliseconds() - (now - at))
	if delay == 0 || len(g.held.order) == heldMax {
		return
	}
	c := g.held.push(g.emitted + delay)
	c.at, c.kind = at, Repeat
	if u < g.repeat {
		c.value = append(c.value[:0], g.value...)
		return
	}
	c.kind = Conflict
	c.value = append(c.value[:0], g.value[:g.tailStart()]...)
	c.value = appendTail(c.value, g.user+1)
}

// delayOf draws after how many events a copy follows, 0 for never: mostly soon,
// as a producer's retry does, at most as long as the budget in ms of event time.
func (g *Generator) delayOf(budget int64) int64 {
	most := min(int64(float64(budget)*g.perMs), g.delayMax, g.events-g.emitted-1)
	if most < 1 {
		return 0
	}
	u := float64(g.random.Uint64()>>11) / (1 << 53)
	return 1 + int64(float64(u*u*u)*float64(most))
}

func (g *Generator) emit(e *Event, value []byte, at int64, kind Kind) {
	*e = Event{Key: value[idStart:idEnd:idEnd], Value: value, Ad: value[adStart : adStart+len(prefix)+g.digits], At: at, Kind: kind}
	g.emitted++
}

// spoilt makes an event that is no valid click.
func (g *Generator) spoilt(e *Event, now int64) {
	s := &spoils[g.below(uint64(len(spoils)))]
	g.value = g.appendClick(g.value[:0], now, s)
	*e = Event{Key: g.id, Value: g.value, Kind: Garbage, Reason: s.reason}
	g.emitted++
}
