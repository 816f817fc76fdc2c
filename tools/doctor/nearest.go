package doctor

import (
	"strings"

	"github.com/agext/levenshtein"
)

// nearest returns the candidate that was most likely meant by a name, or "" if
// none is near: it has the name in it or the other way round, or it takes a
// change of a third of the letters at most.
func nearest(name string, candidates []string) string {
	best, distance := "", 0
	lower := strings.ToLower(name)
	for _, candidate := range candidates {
		other := strings.ToLower(candidate)
		d := levenshtein.Distance(lower, other, nil)
		near := d <= max(len(lower), len(other))/3 ||
			len(lower) > 2 && strings.Contains(other, lower) || len(other) > 2 && strings.Contains(lower, other)
		if near && candidate != name && (best == "" || d < distance) {
			best, distance = candidate, d
		}
	}
	return best
}

// didYouMean is the end of a sentence about a name that is unknown.
func didYouMean(name string, candidates []string) string {
	if best := nearest(name, candidates); best != "" {
		return "; was \"" + best + "\" meant?"
	}
	return ""
}
