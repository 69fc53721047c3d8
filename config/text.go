package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// parse reads a value of a knob's type from text. The fault it returns is empty
// when the text is such a value.
// Direct tells whether a secret may stand there itself.
func parse(t reflect.Type, text string, direct bool) (value any, fault string) {
	switch t {
	case reflect.TypeFor[Secret]():
		return parseSecret(text, direct)
	case reflect.TypeFor[string]():
		return text, ""
	case reflect.TypeFor[[]string]():
		return parseList(text)
	case reflect.TypeFor[int]():
		return parseNumber(text)
	case reflect.TypeFor[time.Duration]():
		return parseDuration(text)
	case reflect.TypeFor[bool]():
		if text != "true" && text != "false" {
			return nil, quote(text) + " is neither true nor false"
		}
		return text == "true", ""
	}
	if isRecords(t) {
		return parseRecords(t, text)
	}
	panic("config: no text is read as " + t.String())
}

func parseList(text string) (any, string) {
	if strings.TrimSpace(text) == "" {
		return []string{}, ""
	}
	words := strings.Split(text, ",")
	for i, w := range words {
		words[i] = strings.TrimSpace(w)
		if words[i] == "" {
			return nil, quote(text) + " has an empty entry; separate entries with one comma each"
		}
	}
	return words, ""
}

// parseNumber takes plain decimal digits only: 010 is eight in one program and
// ten in another.
func parseNumber(text string) (any, string) {
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text {
		return nil, quote(text) + " is not a whole number in plain digits"
	}
	return n, ""
}

func parseDuration(text string) (any, string) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		if _, err := time.ParseDuration(text + "s"); err == nil {
			return nil, fmt.Sprintf("a number without a unit would be %sns; write %[1]ss", text)
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, quote(text) + " is not a duration; write it like 500ms, 90s, 15m or 24h (h is the largest unit)"
	}
	return d, ""
}

// show writes a value as parse reads it.
func show(value any) string {
	switch v := value.(type) {
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return showDuration(v)
	}
	if v := reflect.ValueOf(value); isRecords(v.Type()) {
		if v.Len() == 0 {
			return ""
		}
		return yamlText(value)
	}
	return fmt.Sprint(value)
}

// showDuration leaves out the zeros of Go's 168h0m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// quote makes text from outside fit for a line of a message.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		return strconv.Quote(text[:cut]) + "…"
	}
	return strconv.Quote(text)
}

// plain leaves a name as it is when it reads as one, and quotes it otherwise.
func plain(name string) string {
	odd := func(r rune) bool { return r > unicode.MaxASCII || r <= ' ' || r == 0x7f || r == '"' }
	if name == "" || len(name) > 80 || strings.ContainsFunc(name, odd) {
		return quote(name)
	}
	return name
}
