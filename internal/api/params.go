package api

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/storage"
)

const (
	rangeMax   = 31 * 24 * time.Hour
	futureMax  = 24 * time.Hour // an end further ahead is a mistake, most likely in the unit
	topDefault = 10
	topMax     = 1000
	adsDefault = 20
	adsMax     = 100 // ads of one question or search
)

// params are the query parameters of one request, all known; those that cannot be
// repeated are given once.
type params url.Values

// repeatable are the parameters that may be given more than once.
var repeatable = []string{"ad_id"}

// one returns the value of a parameter, and false when it is not given.
func (p params) one(name string) (string, bool) {
	if values := p[name]; len(values) > 0 {
		return values[0], true
	}
	return "", false
}

func parseParams(raw string, known []string) (params, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badQuery.about("", "the query cannot be read: %s", quote(err.Error()))
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			return nil, unknownParam.about(cut(name), "there is no parameter %s here%s", quote(name), meant(name, known))
		}
		if n := len(values[name]); n > 1 && !slices.Contains(repeatable, name) {
			return nil, repeated.about(name, "%s is given %d times; give it once", name, n)
		}
	}
	return params(values), nil
}

// flag reads true or false; false when it is not given.
func (p params) flag(name string) (bool, error) {
	switch value, given := p.one(name); {
	case !given || value == "false":
		return false, nil
	case value == "true":
		return true, nil
	default:
		return false, badFlag.about(name, "%s is %s; give true or false", name, quote(value))
	}
}

// alone refuses all but some parameters of a request to resume something.
func (p params) alone(names ...string) error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if !slices.Contains(names, name) {
			return badRange.about(name, "what is resumed is what was begun; give no %s", name)
		}
	}
	return nil
}

// span reads the range of a question, Unix ms: start_time and to_time, or last.
// Without start_time it is the minute (or the window, if that is longer) before to_time.
func (p params) span(now time.Time, window time.Duration) (from, to int64, err error) {
	if last, ok := p.one("last"); ok {
		return p.lastSpan(last, now, window)
	}
	to = now.UnixMilli()
	if s, ok := p.one("to_time"); ok {
		if to, err = parseTime("to_time", s, now); err != nil {
			return 0, 0, err
		}
	}
	from = to - max(time.Minute, window).Milliseconds()
	if s, ok := p.one("start_time"); ok {
		if from, err = parseTime("start_time", s, now); err != nil {
			return 0, 0, err
		}
	}
	if err := checkEnds("start_time", from, "to_time", to, now); err != nil {
		return 0, 0, err
	}
	if to-from > rangeMax.Milliseconds() {
		return 0, 0, badRange.about("start_time", "the range is longer than %v; ask in parts", days(rangeMax))
	}
	return from, to, nil
}

func (p params) lastSpan(last string, now time.Time, window time.Duration) (from, to int64, err error) {
	for _, other := range []string{"start_time", "to_time"} {
		if _, ok := p.one(other); ok {
			return 0, 0, badRange.about("last", "last and %s say the same thing twice; give one of them", other)
		}
	}
	length, err := lastLength(last, window)
	if err != nil {
		return 0, 0, err
	}
	return now.Add(-length).UnixMilli(), now.UnixMilli(), nil
}

// fixed tells whether a time is given, and is not one that moves with the clock.
func (p params) fixed(name string) bool {
	at, ok := p.one(name)
	return ok && !strings.HasPrefix(at, "now") && !strings.HasPrefix(at, "-")
}

// lastLength reads how far back from now is asked.
func lastLength(last string, window time.Duration) (time.Duration, error) {
	length, err := parseLength(last)
	switch {
	case err != nil:
		return 0, badTime.about("last", "%s is not a length of time: %v", quote(last), err)
	case length < window:
		return 0, badRange.about("last", "clicks are counted by windows of %v; ask for at least one", window)
	case length > rangeMax:
		return 0, badRange.about("last", "the range is longer than %v; ask in parts", days(rangeMax))
	}
	return length, nil
}

// checkEnds refuses a range that cannot be meant.
func checkEnds(fromName string, from int64, toName string, to int64, now time.Time) error {
	if from >= to {
		return badRange.about(fromName, "%s is not before %s", fromName, toName)
	}
	if to > now.Add(futureMax).UnixMilli() {
		return badRange.about(toName, "%s, %s, lies in the far future", toName, Time(to).Format(time.RFC3339))
	}
	return nil
}

// n reads how many ads a ranking shall have.
func (p params) n() (int, error) {
	return p.number("n", topDefault, topMax)
}

// number reads a number from 1 to a greatest one.
func (p params) number(name string, otherwise, greatest int) (int, error) {
	s, ok := p.one(name)
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > greatest {
		return 0, badNumber.about(name, "%s is %s; it must be a number from 1 to %d", name, quote(s), greatest)
	}
	return n, nil
}

// ads reads of which ads something is asked, each once.
func (p params) ads(most int) ([]string, error) {
	ads := p["ad_id"]
	if len(ads) == 0 || len(ads) > most {
		return nil, badNumber.about("ad_id", "%d ads are asked for; it must be from 1 to %d, as in ad_id=a&ad_id=b", len(ads), most)
	}
	seen := make(map[string]bool, len(ads))
	for _, ad := range ads {
		if err := checkAd(ad); err != nil {
			return nil, err
		}
		if seen[ad] {
			return nil, repeated.about("ad_id", "the ad %s is asked for twice; give each once", quote(ad))
		}
		seen[ad] = true
	}
	return ads, nil
}

// granularity reads into which steps a count is to be split, and an empty name when into none.
func (p params) granularity(days calendar.Calendar, window time.Duration) (string, storage.Cut, error) {
	g, ok := p.one("granularity")
	if !ok {
		return "", storage.Cut{}, nil
	}
	cut, hold := storage.Cut{}, time.Duration(0) // hold is what all steps are whole numbers of
	switch g {
	case "1m":
		cut, hold = storage.Cut{Longest: storage.Window, Step: calendar.Minute}, time.Minute
	case "1h":
		cut, hold = storage.Cut{Longest: storage.Hour, Step: calendar.Hour}, time.Hour
	case "1d":
		cut, hold = storage.Cut{Longest: storage.Day, Step: days.Day}, time.Hour
	default:
		return "", storage.Cut{}, badGranularity.about("granularity", "granularity is %s; there are 1m, 1h and 1d", quote(g))
	}
	if hold%window != 0 {
		return "", storage.Cut{}, badGranularity.about("granularity", "clicks are counted by windows of %v, which cannot be put together to %s; ask for more", window, g)
	}
	return g, cut, nil
}

// adsOrTop reads either which ads are meant, or how many of those with the most clicks.
func (p params) adsOrTop() (ads []string, n int, err error) {
	if _, ok := p.one("ad_id"); !ok {
		n, err = p.n()
		return nil, n, err
	}
	if _, ok := p.one("n"); ok {
		return nil, 0, badNumber.about("n", "n says how many of the ads with the most clicks; it says nothing beside ad_id")
	}
	ads, err = p.ads(adsMax)
	return ads, 0, err
}

// Years an absolute time can lie in; outside of them the unit is wrong.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// parseTime reads a time as people and programs write it: RFC 3339, Unix
// seconds or milliseconds, now, -5m, now-5m. Of a plain number the magnitude
// tells the unit, as within the accepted years no number can be both.
func parseTime(name, s string, now time.Time) (int64, error) {
	at, err := readTime(s, now)
	if err != nil {
		return 0, badTime.about(name, "%s is %s, which is not a time: %v", name, quote(s), err)
	}
	if at < earliest || at >= latest {
		return 0, badTime.about(name, "%s is %s, which lies outside the years 2000 to 2099", name, quote(s))
	}
	return at, nil
}

func readTime(s string, now time.Time) (int64, error) {
	if s == "now" {
		return now.UnixMilli(), nil
	}
	if back, ok := strings.CutPrefix(strings.TrimPrefix(s, "now"), "-"); ok {
		length, err := parseLength(back)
		if err != nil {
			return 0, err
		}
		return now.Add(-length).UnixMilli(), nil
	}
	if strings.Trim(s, "0123456789") == "" && s != "" {
		const secondsEnd = 100_000_000_000 // the year 5138 in seconds, 1973 in milliseconds
		n, err := strconv.ParseInt(s, 10, 64)
		if err == nil && n < secondsEnd {
			n *= 1000
		}
		return n, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || len(s) < len("2006-01-02T15:04:05Z") || s[13] != ':' || strings.Contains(s, ",") { // Go is laxer than the RFC
		if strings.Contains(s, " ") {
			return 0, errors.New("in a query a + of a time zone is written %2B")
		}
		return 0, errors.New("write 2019-11-24T00:00:00Z, Unix seconds or milliseconds, now or -5m")
	}
	return t.UnixMilli(), nil
}

// parseLength reads a positive length of time such as 5m, 1h30m or 7d.
func parseLength(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	bad := errors.New("write 90s, 5m, 2h or 7d")
	var length time.Duration
	rest := s
	if n, after, ok := strings.Cut(s, "d"); ok {
		count, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, bad
		}
		length, rest = time.Duration(count)*day, after
	}
	if rest != "" || length == 0 {
		part, err := time.ParseDuration(rest)
		if err != nil || part < 0 || strings.HasPrefix(rest, "+") || part > 1<<16*day {
			return 0, bad
		}
		length += part
	}
	if length <= 0 {
		return 0, bad
	}
	return length, nil
}

func days(d time.Duration) string { return strconv.Itoa(int(d/(24*time.Hour))) + " days" }

// cut keeps a name from outside short enough to be sent back.
func cut(name string) string { return strings.ToValidUTF8(name[:min(len(name), 64)], "�") }
