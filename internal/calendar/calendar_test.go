package calendar

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestHour(t *testing.T) {
	t.Parallel()
	for at, from := range map[int64]int64{0: 0, HourMS - 1: 0, HourMS: HourMS, -1: -HourMS, -HourMS: -HourMS} {
		if got := Hour(at); got != (Span{from, from + HourMS}) {
			t.Errorf("%d lies in %v", at, got)
		}
	}
}

func TestDay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, zone string
		window     time.Duration
		at, from   string
		hours      float64
	}{
		{"of UTC", "UTC", time.Minute, "2025-06-01T23:59:59.999Z", "2025-06-01T00:00:00Z", 24},
		{"its first moment", "UTC", time.Minute, "2025-06-01T00:00:00Z", "2025-06-01T00:00:00Z", 24},
		{"before 1970", "UTC", time.Minute, "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z", 24},
		{"clocks go forward", "Europe/Berlin", time.Minute, "2025-03-30T12:00:00+02:00", "2025-03-30T00:00:00+01:00", 23},
		{"clocks go back", "Europe/Berlin", time.Minute, "2025-10-26T01:00:00+02:00", "2025-10-26T00:00:00+02:00", 25},
		{"forward at midnight", "America/Havana", time.Minute, "2025-03-09T12:00:00-04:00", "2025-03-09T01:00:00-04:00", 23},
		{"the day before it", "America/Havana", time.Minute, "2025-03-08T23:59:00-05:00", "2025-03-08T00:00:00-05:00", 24},
		{"a quarter of an hour", "Asia/Kathmandu", time.Minute, "2025-06-01T00:00:00+05:45", "2025-06-01T00:00:00+05:45", 24},
		{"whole windows", "Asia/Kathmandu", time.Hour, "2025-06-01T12:00:00+05:45", "2025-06-01T00:45:00+05:45", 24},
		{"a day left out", "Pacific/Apia", time.Minute, "2011-12-31T00:00:00+14:00", "2011-12-31T00:00:00+14:00", 24},
		{"windows that no minute is made of", "Asia/Tokyo", 45 * time.Second, "2025-06-01T10:00:00+09:00", "2025-06-01T00:00:00+09:00", 24},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := New(zone(t, test.zone), test.window)
			at, from := moment(t, test.at), moment(t, test.from)
			if got, want := c.Day(at), (Span{from, from + int64(test.hours*HourMS)}); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func moment(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

// TestDaysFollowEachOther walks through years: days have no gaps, and every moment of a
// day gives the same day.
func TestDaysFollowEachOther(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Havana", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"} {
		c := New(zone(t, name), time.Minute)
		d := c.Day(moment(t, "2009-01-01T00:00:00Z"))
		for range 365 * 4 {
			if hours := float64(d.To-d.From) / HourMS; hours < 23 || hours > 25 {
				t.Fatalf("%s: a day of %v hours at %v", name, hours, time.UnixMilli(d.From))
			}
			for _, at := range []int64{d.From, (d.From + d.To) / 2, d.To - 1} {
				if got := c.Day(at); got != d {
					t.Fatalf("%s: %d lies in %v, and that in %v", name, at, got, d)
				}
			}
			next := c.Day(d.To)
			if next.From != d.To {
				t.Fatalf("%s: %v follows %v", name, next, d)
			}
			d = next
		}
	}
}
