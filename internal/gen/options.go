package gen

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxLag is how far the time of an event may lie behind the newest event time
// when the event, or a copy of it, is emitted. It is a minute below the default
// window.allowed_lateness, so that events which wait in a queue are not too late.
const MaxLag = 4 * time.Minute

// minLate is the least lag of an event that was chosen to be late: over the
// default watermark.delay.
const minLate = 30 * time.Second

// Limits of the options.
const (
	maxAds    = 1 << 24
	maxSpan   = 10 * 365 * 24 * time.Hour
	stretch   = 10_000 // events per second of event time when no span is given
	leastSpan = 3 * time.Minute
)

// Options says what stream to make. [Defaults] is a good start; a zero in a
// fraction means none of that kind.
type Options struct {
	Events     int           // how many events, of all kinds; 0 in live mode is no end
	Seed       uint64        // equal seeds and options give equal bytes
	Ads        int           // distinct ads, 1 to 2^24
	Zipf       float64       // exponent of the ads' popularity, 0 (all alike) to 10
	Start      time.Time     // event time of the beginning; years 2002 to 2090
	Span       time.Duration // event time from the beginning to the end; 0 is Events/10,000 s, at least 3 minutes
	Repeat     float64       // fraction of events that repeat an earlier one to the byte
	Conflict   float64       // fraction that repeat id, ad and time of an earlier one, with other bytes
	Garbage    float64       // fraction that is no valid click
	Late       float64       // fraction of new clicks that come 30 s to 4 min behind
	OutOfOrder time.Duration // how far any other click may be behind, 0 to 4 min

	// Now, when set, makes the stream live: the newest event time is what Now
	// says, and Start and Span are not used. Rate is then how many events a
	// second are asked for; it decides how long copies are held back.
	Now  func() time.Time
	Rate float64
}

// Defaults is the stream of `clickagg generate` that was told nothing.
func Defaults() Options {
	return Options{
		Events: 1_000_000, Seed: 1, Ads: 10_000, Zipf: 1.1,
		Start:  time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		Repeat: 0.02, Conflict: 0.0005, Garbage: 0.002, Late: 0.01, OutOfOrder: 10 * time.Second,
	}
}

// Validate names every option that is out of its limits.
func (o *Options) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(o.Events > 0 || o.Events == 0 && o.Now != nil, "events: %d is not a positive number", o.Events)
	check(o.Ads >= 1 && o.Ads <= maxAds, "ads: %d is not between 1 and %d", o.Ads, maxAds)
	check(o.Zipf >= 0 && o.Zipf <= 10, "zipf: %v is not between 0 and 10", o.Zipf)
	for _, f := range []struct {
		name  string
		value float64
	}{{"repeat", o.Repeat}, {"conflict", o.Conflict}, {"garbage", o.Garbage}, {"late", o.Late}} {
		check(f.value >= 0 && f.value <= 1, "%s: %v is not a fraction between 0 and 1", f.name, f.value)
	}
	check(2*(o.Repeat+o.Conflict)+o.Garbage <= 1,
		"repeat, conflict: each click is copied at most once, so 2·(repeat + conflict) + garbage must not exceed 1")
	check(o.OutOfOrder >= 0 && o.OutOfOrder <= MaxLag, "out of order: %v is not between 0 and %v", o.OutOfOrder, MaxLag)
	start := o.Start
	if o.Now != nil {
		start = o.Now()
		check(o.Rate > 0 && !math.IsInf(o.Rate, 0), "rate: a live stream needs a positive number of events per second, not %v", o.Rate)
	}
	year := start.UTC().Year()
	check(year >= 2002 && year <= 2090, "start: the year %d is not between 2002 and 2090", year)
	check(o.Span >= 0 && o.Span <= maxSpan, "span: %v is not between 0 and 10 years", o.Span)
	return errors.Join(faults...)
}

// span is the event time the stream covers, in ms.
func (o *Options) span() int64 {
	if o.Span > 0 {
		return max(o.Span.Milliseconds(), 1)
	}
	return max(int64(o.Events)*1000/stretch, leastSpan.Milliseconds())
}

// perMs is how many events come in a millisecond of event time.
func (o *Options) perMs() float64 {
	if o.Now != nil {
		return o.Rate / 1000
	}
	return float64(o.Events) / float64(o.span())
}
