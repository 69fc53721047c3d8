package api

import "time"

// When reads a time in the notations the API takes: RFC 3339, Unix seconds or
// milliseconds, now, -5m. It returns Unix ms. Name is what the error calls it.
func When(name, text string, now time.Time) (int64, error) { return parseTime(name, text, now) }
