package rule

import "math"

// maxInteger is the largest integer that every JSON reader understands alike.
const maxInteger = 1 << 53

// parseUnits reads a JSON integer as a time, in Unix ms. It refuses integers
// beyond 2^53, except nanoseconds, which all are beyond it.
func parseUnits(digits []byte, unit TimeUnit) (ms int64, ok bool) {
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	if len(digits) > 19 {
		return 0, false
	}
	var v uint64 // 19 digits fit
	for _, c := range digits {
		v = v*10 + uint64(c-'0')
	}
	if v > math.MaxInt64 || v > maxInteger && unit != Nanos {
		return 0, false
	}
	ms = int64(v)
	switch unit {
	case Seconds:
		ms *= 1000
	case Millis:
	case Micros:
		ms /= 1000
	case Nanos:
		ms /= 1_000_000
	}
	if negative {
		ms = -ms
	}
	return ms, true
}

// parseRFC3339 reads a time like 2019-11-24T00:00:00.123+09:00, in Unix ms. The
// fraction has at most nine digits and is cut to milliseconds; T and Z may be
// in lower case and T a space, as RFC 3339 allows. Second 60 is refused.
func parseRFC3339(b []byte) (ms int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' ||
		b[10]|0x20 != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, month, day := two(b)*100+two(b[2:]), two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		uint64(hour) > 23 || uint64(minute) > 59 || uint64(second) > 59 {
		return 0, false
	}
	b = b[19:]
	milli, b, ok := fraction(b)
	if !ok {
		return 0, false
	}
	offset, ok := zone(b)
	days := daysSince1970(year, month, day)
	return ((days*24+hour)*60+minute-offset)*60_000 + second*1000 + milli, ok
}

// two reads two digits; what is not digits makes a number that no range holds.
func two(b []byte) int64 {
	tens, ones := b[0]-'0', b[1]-'0'
	if tens > 9 || ones > 9 {
		return math.MinInt32
	}
	return int64(tens)*10 + int64(ones)
}

// fraction reads the optional fraction of a second, in milliseconds, and returns
// what follows it.
func fraction(b []byte) (milli int64, rest []byte, ok bool) {
	if b[0] != '.' {
		return 0, b, true
	}
	end := digits(b, 1)
	for i, scale := 1, int64(100); i < end && scale > 0; i++ {
		milli += int64(b[i]-'0') * scale
		scale /= 10
	}
	return milli, b[end:], end > 1 && end <= len(".123456789")
}

// zone reads the zone that must be all of b, in minutes east of UTC.
func zone(b []byte) (minutes int64, ok bool) {
	if len(b) == 1 {
		return 0, b[0]|0x20 == 'z'
	}
	if len(b) != len("+09:00") || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, m := two(b[1:]), two(b[4:])
	if uint64(h) > 23 || uint64(m) > 59 {
		return 0, false
	}
	if minutes = h*60 + m; b[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

func daysIn(year, month int64) int64 {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// daysSince1970 counts from the first of March of the year −400, so that the
// leap day is the last of a year and no year is negative.
func daysSince1970(year, month, day int64) int64 {
	if year += 400; month < 3 {
		year, month = year-1, month+12
	}
	inYear := (153*(month-3)+2)/5 + day - 1
	return year*365 + year/4 - year/100 + year/400 + inYear - 719_468 - 146_097
}
