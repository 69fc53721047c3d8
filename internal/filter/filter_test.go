package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var click1 = map[string]any{
	"ad_id": "shoe-17", "event_id": "e1", "ts": 1_764_000_000_000, "country": "KR", "device": "mobile",
	"user_agent": "Mozilla/5.0 (ÄÖ; Bot)", "ip": "10.1.2.3", "clicks": 7, "price": 2.5, "mobile": true, "new": false,
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]bool{
		`country == "KR"`: true, `"KR" == country`: true, `country != "KR"`: false, `country in ["US", "KR"]`: true,
		`country not in ["US", "KR"]`: false, `country in []`: false, `country < "L" && country >= "KR"`: true, `country > "KR"`: false,
		`country == "KR" and device == "mobile"`: true, `country == "US" || device == "mobile"`: true,
		`not (country == "US" || device == "tv")`: true, `!(not (country == "KR"))`: true, `true`: true, `false`: false,
		`user_agent contains "Bot"`: true, `lower(user_agent) contains "äö; bot"`: true, `user_agent startsWith "Moz"`: true,
		`user_agent endsWith ")"`: true, `user_agent not endsWith ")"`: false, `lower("KR") == lower(country)`: true,
		`ad_id matches "^shoe-[0-9]+$"`: true, `ad_id matches "^hat"`: false, `ad_id not matches "^hat"`: true,
		`ip in cidr("10.0.0.0/8")`: true, `ip in cidr("11.0.0.0/8", "10.1.2.3/32")`: true, `ip not in cidr("2001:db8::/32", "0.0.0.0/5")`: true,
		`ip in cidr("10.1.0.0/16", "10.0.0.0/8", "9.0.0.0/8")`: true, `country in cidr("0.0.0.0/0")`: false,
		`clicks == 7`: true, `clicks in [1, 7]`: true, `clicks in [7.0]`: true, `clicks in [6+1]`: true, `clicks in [1/0, 8]`: false,
		`price > 2`: true, `price in [2.5]`: true, `price < clicks`: true, `-clicks < 0`: true, `+clicks % 2 == 1`: true,
		`clicks / 2 == 3.5`: true, `clicks * 2 - 4 + 1 == 11`: true, `1 < clicks <= 7`: true, `clicks % 0 == 0`: false, `clicks / 0 > 0`: false,
		`ts % 86400000 < 57600000`: false, `price * 2 == 5`: true, `-price < 0`: true,
		`mobile`: true, `not mobile`: false, `mobile == true`: true, `mobile != new`: true, `new == false`: true, `true == true`: true, `true == false`: false,
		`ad_id == event_id`: false, `event_id == "e1"`: true,
		`$env["note"] == "x"`: false, `note == nil`: true, `note != nil`: false, `nil != clicks`: true, `mobile == nil`: false,
	} {
		if got, err := matches(where, click1); err != nil || got != want {
			t.Errorf("%s is %t, %v", where, got, err)
		}
	}
}

// TestLacking holds the rule of fields that a click lacks.
func TestLacking(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]bool{
		`country == "KR"`: false, `country != "KR"`: true, `country in ["KR"]`: false, `country not in ["KR"]`: true,
		`country < "Z"`: false, `country >= ""`: false, `country contains ""`: false, `country not contains ""`: true,
		`country matches ""`: false, `lower(country) == ""`: false, `country == device`: false, `country != device`: true,
		`ip in cidr("0.0.0.0/0")`: false, `ip not in cidr("0.0.0.0/0")`: true,
		`clicks < 1`: false, `clicks >= 1`: false, `clicks != 1`: true, `clicks + 1 > 0`: false, `1 - clicks < 9`: false, `price * 0 == 0`: false,
		`clicks in [0]`: false, `mobile`: false, `not mobile`: true, `mobile == false`: false, `mobile == new`: false, `country == nil`: true,
	} {
		if got, err := matches(where, nil); err != nil || got != want {
			t.Errorf("%s is %t, %v", where, got, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]string{
		"":                                 `line 1, column 1: the predicate is empty`,
		"country ==":                       `line 1, column 10: unexpected token EOF`,
		"country == 'KR' &&\n contry":      `line 2, column 2: there is no field contry; is country meant?`,
		"zzz":                              `line 1, column 1: there is no field zzz; declare it in input.types`,
		"'é' == country && é":              `line 1, column 19: there is no field é`,
		"country":                          `line 1, column 1: this is a string; a predicate is true or false`,
		"nil":                              `line 1, column 1: this is nil`,
		"country == 7":                     `line 1, column 9: a string is never compared with an int`,
		"mobile < new":                     `line 1, column 8: a bool and a bool are not compared by <`,
		"1 == nil":                         `line 1, column 3: only a field is compared with nil`,
		"lower(country) == nil":            `only a field is compared with nil`,
		"country in 'KR'":                  `line 1, column 12: after in comes a list`,
		"country in ['KR', 7]":             `line 1, column 19: a list in which a string is looked for has constants`,
		"clicks in [clicks]":               `line 1, column 12: a list in which an int is looked for`,
		"mobile in [true]":                 `a bool is not looked for in a list`,
		"country in [device]":              `line 1, column 13`,
		"clicks in 1..3":                   `line 1, column 12: after in comes a list`,
		"ip in cidr()":                     `cidr takes at least one network`,
		"ip in cidr('10.0.0.0')":           `line 1, column 12: "10.0.0.0" is no network`,
		"ip in cidr('10.0.0.1/8')":         `is 10.0.0.0/8 meant?`,
		"ip in cidr('::ffff:1.0.0.0/104')": `write the network as IPv4`,
		"ip in cidr(ip)":                   `cidr takes networks as strings`,
		"lower(ip) in cidr('10.0.0.0/8')":  `in cidr(...) asks of a string field`,
		"clicks in cidr('10.0.0.0/8')":     `in cidr(...) asks of a string field`,
		"'10.0.0.1' in cidr('10.0.0.0/8')": `in cidr(...) asks of a string field`,
		"cidr('10.0.0.0/8')":               `cidr(…) but after in is not supported`,
		"country matches '('":              `line 1, column 17: error parsing regexp: missing closing )`,
		"country matches device":           `after matches comes a regular expression in quotes`,
		"clicks matches '1'":               `matches takes a string, not an int`,
		"country matches '(a{900}){1}b{900}c{900}'":           `the regular expression is too costly`,
		"country matches '" + strings.Repeat("a", 1001) + "'": `the regular expression is longer than 1000 bytes`,
		"clicks contains '1'":                                 `contains takes two strings, not an int and a string`,
		"lower(clicks) == '1'":                                `line 1, column 7: lower takes a string`,
		"lower() == '1'":                                      `lower with other than one value is not supported`,
		"-country == 1":                                       `- takes a number, not a string`,
		"country + 'x' == 'KRx'":                              `+ takes two numbers, not a string and a string`,
		"price % 2 == 1":                                      `% takes two ints`,
		"clicks ** 2 == 49":                                   `the operator ** is not supported`,
		"(country == 'KR') == mobile":                         `the result of == is no value to compare`,
		"(not mobile) == new":                                 `the result of not is no value to compare`,
		"country ?? 'KR' == 'KR'":                             `cannot be mixed`,
		"mobile ?? new":                                       `the operator ?? is not supported`,
		"mobile ? new : mobile":                               `a choice (? : or if) is not supported`,
		"len(country) == 2":                                   `line 1, column 1: the function len is not supported`,
		"foo(country) == 2":                                   `the function foo is not supported`,
		"country.name == 'x'":                                 `a field within a field is not supported`,
		"country[0:1] == 'K'":                                 `a slice is not supported`,
		"[1] == [1]":                                          `a list but after in is not supported`,
		"{a: 1} == {a: 1}":                                    `a map is not supported`,
		"let x = 1; x == 1":                                   `let is not supported`,
		"mobile; new":                                         `more than one expression is not supported`,
		"mobile # new":                                        `line 1`,
		"b'x' == country":                                     `a bytes literal is not supported`,
		"country == '\xff'":                                   `the predicate is not UTF-8`,
		strings.Repeat(" ", 17<<10) + "1":                     `longer than 16 KiB`,
	} {
		_, err := Compile(where, some)
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Error(), want) {
			t.Errorf("%.60s: %v, want %s", where, err, want)
		}
	}
}

func TestNewSet(t *testing.T) {
	t.Parallel()
	good := Definition{ID: "kr", Name: "Korea", Where: `country == "KR"`}
	for want, defs := range map[string][]Definition{
		"filter kr is defined twice":           {good, {ID: "kr", Where: "true"}},
		"filter 000 is all clicks":             {{ID: "000", Where: "true"}},
		`filter "": an identifier`:             {{Where: "true"}},
		`filter "a b": an identifier`:          {{ID: "a b", Where: "true"}},
		"filter a: a name is":                  {{ID: "a", Name: "x\ny", Where: "true"}},
		"filter a: line 1, column 1: there is": {{ID: "a", Where: "x"}},
		"64 filters are more than 63":          slices.Repeat([]Definition{good}, 64),
	} {
		if _, err := NewSet(defs, some); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, types := range map[string]Types{
		"field ts is int always": {"ts": String}, `field ""`: {"": Int}, "field a has no type": {"a": 9},
	} {
		if _, err := NewSet(nil, types); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	s, err := NewSet([]Definition{{ID: "b", Where: `country == "US"`}, {ID: "a", Where: `device == "tv"`}, good}, Types{"country": String})
	if err != nil || fmt.Sprint(s.IDs()) != "[a b kr]" || s.Len() != 3 || s.Definitions()[2] != good || len(s.Needs()) != 2 {
		t.Fatal(s, err)
	}
	f := s.NewFields()
	fill(s, f, click1)
	if m := s.Match(f); m != 4 {
		t.Errorf("mask %b", m)
	}
	if fill(s, f, map[string]any{"device": "tv", "country": "US"}); s.Match(f) != 3 {
		t.Errorf("mask %b", s.Match(f))
	}
}

// TestMatchAllocates nothing, whatever the test.
func TestMatchAllocates(t *testing.T) {
	var defs []Definition
	for i, where := range []string{
		`country == "KR" || device in ["tv", "mobile", "car"]`, `lower(user_agent) contains "äö"`, `user_agent matches "(?i)bot"`,
		`ip in cidr("10.0.0.0/8", "2001:db8::/32")`, `clicks + 1 > price * 2`, `clicks in [1, 2, 3] or price in [2.5]`, `mobile != new`,
	} {
		defs = append(defs, Definition{ID: fmt.Sprint(i), Where: where})
	}
	s, err := NewSet(defs, some)
	if err != nil {
		t.Fatal(err)
	}
	f := s.NewFields()
	fill(s, f, click1)
	click := slices.Clone(f.cells) // before anything was found out about it
	if n := testing.AllocsPerRun(100, func() {
		f.Clear()
		for i := range click {
			c := &f.cells[i]
			c.text, c.number, c.real, c.flag, c.has = click[i].text, click[i].number, click[i].real, click[i].flag, click[i].has
		}
		if s.Match(f) != 0x7f {
			t.Fatal(s.Match(f))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
