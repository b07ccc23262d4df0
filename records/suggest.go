package records

import (
	"sort"
	"strings"
)

// suggest names the known word that is near the one given, else all.
func suggest(word string, known []string) string {
	sorted := append([]string(nil), known...)
	sort.Strings(sorted)
	for _, k := range sorted {
		if edits(strings.ToLower(word), k, 2) {
			return ": did you mean " + k + "?"
		}
	}
	return ": enrolled are " + strings.Join(sorted, ", ")
}

// edits reports whether n letters added, dropped or changed at most make b of
// a.
func edits(a, b string, n int) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	switch {
	case len(a)+len(b) == 0:
		return true
	case n == 0:
		return false
	case len(a) == 0:
		return len(b) <= n
	case len(b) == 0:
		return len(a) <= n
	}
	return edits(a[1:], b[1:], n-1) || edits(a[1:], b, n-1) || edits(a, b[1:], n-1)
}
