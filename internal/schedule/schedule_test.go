package schedule

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func TestNext(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string, zone *time.Location) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04:05", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		schedule, now, next string
		zone                *time.Location
	}{
		{"1h", "2026-05-01 10:20:30", "2026-05-01 11:00:00", time.UTC},
		{"1h", "2026-05-01 11:00:00", "2026-05-01 12:00:00", time.UTC},
		{"24h", "2026-05-01 10:00:00", "2026-05-02 02:00:00", berlin}, // midnight UTC
		{"1m", "2026-05-01 23:59:59", "2026-05-02 00:00:00", time.UTC},
		{"02:00", "2026-05-01 01:59:59", "2026-05-01 02:00:00", berlin},
		{"02:00", "2026-05-01 02:00:00", "2026-05-02 02:00:00", berlin},
		{"23:30", "2026-12-31 23:45:00", "2027-01-01 23:30:00", time.UTC},
		{"02:30", "2026-03-28 12:00:00", "2026-03-29 03:30:00", berlin}, // there is no 02:30 that night
	} {
		s, err := Parse(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.Next(at(c.now, c.zone)), at(c.next, c.zone); !got.Equal(want) {
			t.Errorf("%s after %s: %s, want %s", c.schedule, c.now, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "1", "7h", "59s", "48h", "-1h", "24:00", "2:60", "daily", "0 2 * * *"} {
		if s, err := Parse(text); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
}
