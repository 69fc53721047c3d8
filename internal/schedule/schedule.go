package schedule

import (
	"errors"
	"time"
)

// Schedule is when something is due. Make it with [Parse].
type Schedule struct {
	every time.Duration // 0 for once a day
	at    time.Duration // since the day's midnight by the clock
}

const day = 24 * time.Hour

// errSchedule is of a text that is no schedule.
var errSchedule = errors.New("neither a length of time that divides a day, of a minute or more, like 1h, nor a time of the day like 02:00")

// Parse reads a length of time that divides a day, such as 1h, or a time of the day, such
// as 02:00.
func Parse(text string) (Schedule, error) {
	if t, err := time.Parse("15:04", text); err == nil {
		return Schedule{at: time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute}, nil
	}
	every, err := time.ParseDuration(text)
	if err != nil || every < time.Minute || day%every != 0 {
		return Schedule{}, errSchedule
	}
	return Schedule{every: every}, nil
}

// Next is the first time after one at which it is due: a multiple of its length since
// midnight UTC, or its time of the day where t's zone is.
func (s Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		return t.UTC().Truncate(s.every).Add(s.every)
	}
	for d := 0; ; d++ {
		at := time.Date(t.Year(), t.Month(), t.Day()+d, int(s.at/time.Hour), int(s.at%time.Hour/time.Minute), 0, 0, t.Location())
		if at.After(t) {
			return at
		}
	}
}
