package blob

import (
	"fmt"
	"strings"
)

// MaxName is the length of the longest name, in bytes.
const MaxName = 240

// CheckName returns an error unless a name is one: slash-separated words of
// letters, digits, dots, dashes, underscores and equals signs, no word being "." or "..".
func CheckName(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("blob name of %d bytes: at most %d are allowed", len(name), MaxName)
	}
	for word := range strings.SplitSeq(name, "/") {
		if word == "" || word == "." || word == ".." || strings.ContainsFunc(word, illegal) {
			return fmt.Errorf("%q is no name for a blob", name)
		}
	}
	return nil
}

func illegal(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' && r != '='
}
