// Package crash kills the built binary at every point of internal/failpoint, again and again beside load and replays, and
// then looks at the topics and at the database: is every accepted message finished once, in order, with its letter? It
// has only tests, behind the build tag crash: make crash. NIGHTLY=1 kills more often, CRASH_KILL=5m kills longer,
// KAFKA=embedded leaves real Kafka out.
package crash
