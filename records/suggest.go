package records

import (
	"slices"
	"strings"

	"b8s/human"
)

// suggest names the known word that is near the one given, else all.
func suggest(word string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	if best := human.Nearest(word, known); best != "" {
		return ": did you mean " + best + "?"
	}
	return ": enrolled are " + strings.Join(known, ", ")
}
