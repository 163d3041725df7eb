//go:build race

package consume

// Raced: the race detector takes time of its own.
const Raced = true
