package config

import (
	"iter"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/nearest"
)

// hint names the known name that an unknown one was probably meant to be, as
// the end of a sentence; it is empty when none is near.
func hint(name string, known iter.Seq[string]) string {
	const longest = 100 // no name is; the distance takes time in the product of the lengths
	if len(name) > longest {
		return ""
	}
	best, least := "", len(strings.TrimPrefix(name, EnvPrefix))/3+1
	for _, k := range slices.Sorted(known) {
		if d := nearest.Distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		best = elsewhere(name, known)
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// elsewhere finds the one known path that ends in the same word: the right key
// in the wrong section.
func elsewhere(name string, known iter.Seq[string]) string {
	last := func(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
	found := ""
	for k := range known {
		if last(k) == last(name) {
			if found != "" {
				return ""
			}
			found = k
		}
	}
	return found
}
