//go:build race

package main

// raceDetector: the binary under test is instrumented, and its times say nothing of the real one.
const raceDetector = true
