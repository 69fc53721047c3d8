package rule

import (
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

// Config is what a partition needs to know. Times and durations are in
// milliseconds. Those who read a source one after the other may have different ones
// where one handed over to the next in order: see [Partition.HandOver].
type Config struct {
	Size        int64 // length of a window; at least 1
	Lateness    int64 // how long after its end a window still takes clicks
	Delay       int64 // how far the watermark stays behind the greatest event time
	MaxFuture   int64 // how far ahead of its append time a click may be stamped
	IdleTimeout int64 // silence after which event time follows the broker's clock
	Trusted     bool  // whether the watermark records of this topic are believed

	EventIDField string
	AdIDField    string
	TimeField    string
	TimeUnit     TimeUnit // of a numeric event time
	// DedupeKey names the fields that together make the event id of a record
	// that has none. Empty rejects such a record.
	DedupeKey      []string
	MaxRecordBytes int // largest value that is looked at

	SectionClicks int          // records after which a section is full
	Term          int64        // of the source's owner; passed on
	Rules         click.Rules  // passed on; they are the shards'
	Router        click.Router // made for Shards shards
	Shards        int32        // at least 1
}

// TimeUnit is the unit of a numeric event time. The zero TimeUnit is none.
type TimeUnit uint8

// The units, named s, ms, us and ns in the configuration.
const (
	Seconds TimeUnit = iota + 1
	Millis
	Micros
	Nanos
)

var unitNames = [...]string{Seconds: "s", Millis: "ms", Micros: "us", Nanos: "ns"}

// ParseTimeUnit reads a unit's name.
func ParseTimeUnit(name string) (TimeUnit, error) {
	for u := Seconds; u <= Nanos; u++ {
		if unitNames[u] == name {
			return u, nil
		}
	}
	return 0, fmt.Errorf("time unit %q is not one of s, ms, us, ns", name)
}

// String is the unit's name.
func (u TimeUnit) String() string {
	if u < Seconds || u > Nanos {
		return fmt.Sprintf("unit(%d)", uint8(u))
	}
	return unitNames[u]
}

// Event times outside [earliest, latest) are refused: the years 2000 to 2099.
const (
	earliest = 946_684_800_000
	latest   = 4_102_444_800_000
)
