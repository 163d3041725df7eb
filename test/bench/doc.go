// Package bench measures the worker against other ways to do its work: smaller batches, and the loop that is usually
// written. Pairs are interleaved in one run, so that what else the machine does meets both. docs/measurements.md has figures.
package bench
