//go:build race

package consume

// raced: the race detector takes time of its own.
const raced = true
