//go:build !race

package inspect_test

// raced: the race detector takes memory and time of its own.
const raced = false
