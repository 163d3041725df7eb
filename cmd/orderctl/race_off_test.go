//go:build !race

package main

// raceDetector: the binary under test is the real one.
const raceDetector = false
