//go:build !race

package order_test

// raceAllocs: the real thing allocates what it says.
const raceAllocs = 0
