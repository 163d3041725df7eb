//go:build !race

package serve_test

// raced: the race detector allocates by itself.
const raced = false
