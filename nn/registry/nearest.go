package registry

import (
	"strings"
	"unicode/utf8"
)

// Nearest returns the known word that was probably meant: the one with the fewest edits, at most
// one in three letters, or else one that continues the word or that the word continues ("epsilon"
// for "eps"). Case does not count; among equals the first in the list wins.
func Nearest(word string, known []string) (string, bool) {
	best, bestAt := "", -1
	w := strings.ToLower(word)
	letters := utf8.RuneCountInString(w)
	if letters > 64 { // no key is that long, and the distance costs the product of the lengths
		return "", false
	}
	for _, k := range known {
		d := distance([]rune(w), []rune(strings.ToLower(k)))
		near := d <= max(1, letters/3) && d < max(letters, utf8.RuneCountInString(k))
		if near && (bestAt < 0 || d < bestAt) {
			best, bestAt = k, d
		}
	}
	if bestAt >= 0 {
		return best, true
	}
	for _, k := range known {
		l := strings.ToLower(k)
		if min(len(w), len(l)) >= 3 && (strings.HasPrefix(w, l) || strings.HasPrefix(l, w)) {
			return k, true
		}
	}
	return "", false
}

// distance is the Damerau-Levenshtein distance in its restricted form (optimal string
// alignment): insertions, deletions, substitutions, and swaps of neighbours, one each.
func distance(a, b []rune) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	next := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
