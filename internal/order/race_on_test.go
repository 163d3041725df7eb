//go:build race

package order_test

// raceAllocs: under the race detector a sync.Pool forgets now and then what was put back.
const raceAllocs = 2
