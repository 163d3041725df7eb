package config

// Suggest returns the candidate that word was probably meant to be: the nearest within two edits, or "" if none is.
func Suggest(word string, candidates []string) string {
	best, distance := "", 3
	for _, c := range candidates {
		if d := editDistance(word, c); d < distance && d < len(c) {
			best, distance = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's, by bytes, with two rows.
func editDistance(a, b string) int {
	if n := len(a) - len(b); n > 2 || n < -2 {
		return 3 // too far for Suggest, so not worth the table
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
