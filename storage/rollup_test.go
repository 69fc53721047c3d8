package storage

import (
	"fmt"
	"testing"
)

const hour = 3_600_000

func TestSeries(t *testing.T) {
	t.Parallel()
	for series, unit := range map[string]Unit{"000": Window, "000/1h": Hour, "a-b/24h": Day} {
		filter := series[:3]
		if got, ok := UnitOf(series); got != unit || !ok || unit.Series(filter) != series {
			t.Errorf("%s is of %v, %v, and written %s", series, got, ok, unit.Series(filter))
		}
	}
	for _, series := range []string{"000/", "000/1d", "000/1h/1h"} {
		if u, ok := UnitOf(series); ok {
			t.Errorf("%s is of %v", series, u)
		}
	}
}

// TestVersionOf: every touch of any part of the time raises the version, and nothing else does.
func TestVersionOf(t *testing.T) {
	t.Parallel()
	touches := []Touch{{Hour: 0, Offset: 10}, {Hour: 0, Partition: 1, Offset: 5}, {Hour: hour, Offset: 100}, {Hour: 2 * hour, Offset: 1000, Open: true}}
	for _, test := range []struct {
		from, to, version int64
		settled           bool
	}{
		{-hour, 0, 1, true}, {0, hour, 33, true}, {hour - 1, hour, 33, true}, {hour, 2 * hour, 202, true},
		{hour / 2, hour + 1, 234, true}, {0, 2*hour + 1, 2234, false}, {3 * hour, 9 * hour, 1, true},
	} {
		if version, settled := VersionOf(touches, test.from, test.to); version != test.version || settled != test.settled {
			t.Errorf("[%d,%d): %d, %v, want %d, %v", test.from, test.to, version, settled, test.version, test.settled)
		}
	}
	settled := touches[3]
	settled.Open = false
	if later := (&Touch{Offset: 1001, Open: true}); settled.Number() <= touches[3].Number() || later.Number() <= settled.Number() {
		t.Error("the number does not rise from open to settled to the next")
	}
	for _, touch := range touches {
		if again := TouchOf(touch.Hour, touch.Partition, touch.Number()); again != touch {
			t.Errorf("%+v became %+v", touch, again)
		}
	}
}

// TestRefine cuts ranges, also where days of two time zones overlap.
func TestRefine(t *testing.T) {
	t.Parallel()
	days := []Rollup{{Start: 2, End: 26}, {Start: 20, End: 44}, {Start: 26, End: 49}, {Start: 60, End: 84}}
	hours := []Rollup{{Start: 0, End: 1}, {Start: 1, End: 2}, {Start: 2, End: 3}, {Start: 50, End: 51}, {Start: 84, End: 85}}
	for _, test := range []struct {
		from, to int64
		want     string
	}{
		{0, 2, "1h[0,2)x2"},
		{3, 20, "[3,20)"},
		{0, 90, "1h[0,2)x2 24h[2,49)x2 [49,50) 1h[50,51)x1 [51,60) 24h[60,84)x1 1h[84,85)x1 [85,90)"},
		{3, 50, "[3,20) 24h[20,44)x1 [44,50)"},
	} {
		got := ""
		for _, p := range refine(refine([]Piece{{Unit: Window, From: test.from, To: test.to}}, Day, days), Hour, hours) {
			got += fmt.Sprintf("%v[%d,%d)", p.Unit, p.From, p.To)
			if p.Unit != Window {
				got += fmt.Sprintf("x%d", len(p.Rollups))
			}
			got += " "
		}
		if got != test.want+" " {
			t.Errorf("[%d,%d): %s, want %s", test.from, test.to, got, test.want)
		}
	}
}

func TestWholeHour(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, to int64
		want     bool
	}{
		{0, hour, true}, {1, hour, false}, {1, hour + 1, false}, {1, 2 * hour, true}, {-1, hour - 1, false}, {-1, hour, true},
		{hour, 0, false}, {-1 << 63, 1<<63 - 1, true}, {1<<63 - 5, 1<<63 - 1, false},
	} {
		if got := wholeHour(test.from, test.to); got != test.want {
			t.Errorf("[%d,%d): %v", test.from, test.to, got)
		}
	}
}
