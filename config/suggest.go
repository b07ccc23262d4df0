package config

import (
	"slices"
	"strings"

	"b8s/human"
)

// Suggest is the end of an error about an unknown word: the known one that is
// close to it, else all that are known; "" if there are none.
func Suggest(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	known = slices.Sorted(slices.Values(known))
	if best := human.Nearest(word, known); best != "" {
		return ": did you mean " + best + "?"
	}
	if len(known) > 12 {
		known = append(known[:12], "…")
	}
	return ": known are " + strings.Join(known, ", ")
}
