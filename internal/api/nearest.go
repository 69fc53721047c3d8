package api

import (
	"strings"

	"github.com/clickagg/clickagg/internal/nearest"
)

// otherNames are what other APIs, and people, call our parameters.
var otherNames = map[string]string{
	"start": "start_time", "from": "start_time", "since": "start_time", "from_time": "start_time", "begin": "start_time",
	"end": "to_time", "end_time": "to_time", "to": "to_time", "until": "to_time", "stop_time": "to_time",
	"limit": "n", "top": "n", "count": "n", "size": "n",
	"filter": "filter_identifier", "filter_id": "filter_identifier",
	"range": "last", "window": "last", "duration": "last", "minutes": "last", "m": "last",
	"start_time": "from", "to_time": "to", "output": "format", "accept": "format",
}

// meant ends a sentence with the parameter that an unknown one was probably
// meant to be, and with all there are.
func meant(name string, known []string) string {
	if len(known) == 0 {
		return "; it takes none"
	}
	all := "there are " + strings.Join(known, ", ")
	if len(known) == 1 {
		all = "there is only " + known[0]
	}
	const longest = 100 // no name is; the distance takes time in the product of the lengths
	if len(name) > longest {
		return "; " + all
	}
	lower := strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	best, least := "", 3
	for _, k := range known {
		if otherNames[lower] == k {
			return "; did you mean " + k + "? " + all
		}
		if d := nearest.Distance(lower, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best == "" {
		return "; " + all
	}
	return "; did you mean " + best + "? " + all
}
