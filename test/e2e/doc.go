// Package e2e drives the built binary, as a stranger would, against the embedded broker of `orderctl dev` and against real
// Apache Kafka. It has only tests, behind the build tag e2e: make e2e.
package e2e
