package storage

import (
	"strings"

	"github.com/clickagg/clickagg/internal/calendar"
)

// Unit is a length of time that counts are kept for.
type Unit int

// The units. Windows come from the log; the others are roll-ups of them.
const (
	Window Unit = iota
	Hour        // of UTC
	Day         // of a time zone: mostly 24 hours, some zones' have 23 or 25 now and then
)

var unitNames = [...]string{Window: "", Hour: "1h", Day: "24h"}

// String is the unit's name in the configuration; a window's depends on its size and is empty here.
func (u Unit) String() string { return unitNames[u] }

// Series names the counts of a filter in one unit. Those in windows have the name of
// the filter, others that of the filter, a slash and the unit. A filter has no slash.
func (u Unit) Series(filter string) string {
	if u == Window {
		return filter
	}
	return filter + "/" + unitNames[u]
}

// UnitOf is the unit of a series, and false when there is no such unit.
func UnitOf(series string) (Unit, bool) {
	_, name, rolled := strings.Cut(series, "/")
	if !rolled {
		return Window, true
	}
	for u := Hour; u <= Day; u++ {
		if name == unitNames[u] {
			return u, true
		}
	}
	return 0, false
}

// FilterOf is the filter whose counts a series has.
func FilterOf(series string) string {
	filter, _, _ := strings.Cut(series, "/")
	return filter
}

// Fits tells whether a stretch of time is one of the unit's, where windows are window ms.
func (u Unit) Fits(start, size, window int64) bool {
	switch u {
	case Window:
		return size > 0 && size == window && start%size == 0
	case Hour:
		return size == calendar.HourMS && start%size == 0
	default:
		return size > 0 && size <= 26*calendar.HourMS
	}
}
