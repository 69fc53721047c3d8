// Package calendar cuts time into the hours and days that roll-ups are kept for.
//
// It is pure: hours are those of UTC, days those of a time zone that the caller has
// loaded, with 23, 24 or 25 hours as the zone has them. Start reading at [Calendar.Day].
package calendar
