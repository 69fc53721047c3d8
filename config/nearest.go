package config

import (
	"iter"
	"slices"
	"strings"
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
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
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

// distance is how many letters must be added, dropped, changed or swapped with
// their neighbour to turn a into b.
func distance(a, b string) int {
	var before []int // the row above the row above
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
