// Package storetest says what a store does, once for all databases. A database is supported when Run passes on it.
// It uses the store as the worker does; what it has to see beside that, it asks for in plain SQL.
package storetest

import (
	"testing"

	"commerce.internal/orderctl/internal/store"
)

// Database is an empty database of its own for one test.
type Database struct {
	// Options name it, with Migrate on.
	Options store.Options
	// LongText is the type of a column that takes a text of any length.
	LongText string
	// Exec runs a statement on a connection of its own.
	Exec func(t testing.TB, query string)
	// Int reads one number on a connection of its own.
	Int func(t testing.TB, query string) int64
}

// Run holds a database against all that is promised of a store. Fresh makes an empty database. The test binary must have
// a test that calls Child, whose name is child: processes that are killed are made of it.
func Run(t *testing.T, child string, fresh func(t *testing.T) Database) {
	t.Helper()
	for _, c := range append(append(ofRows(), ofBatches()...), ofDatabases(child)...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, &world{db: fresh(t)})
		})
	}
}

// promise is one thing that a store does.
type promise struct {
	name string
	run  func(t *testing.T, w *world)
}

// ofRows are about one row.
func ofRows() []promise {
	return []promise{
		{"an inserted row comes back as it was", insertedRowComesBack},
		{"a row without any optional member comes back as it was", bareRowComesBack},
		{"text of every kind comes back byte for byte", textComesBack},
		{"the largest order there may be is stored", largestOrder},
		{"an insert that finds a row is lost", insertFindsRow},
		{"an update needs state, hop and position as they were read", updateCompares},
		{"an update leaves source and control alone", updateLeavesIdentity},
		{"a discard compares the control offset too", controlCompares},
		{"one content of a message id takes effect, ever", oneContentDone},
		{"a row that is not done lets go of nothing", deadRowsShareID},
		{"a lost compare is read and decided again", lostCompareIsReadAgain},
		{"a record that loses every time is raced, alone", alwaysRaced},
	}
}

// ofBatches are about many at once, and what is read of them.
func ofBatches() []promise {
	return []promise{
		{"what was read is what the rules need", seenIsComplete},
		{"two records of one order see each other in one batch", sameOrderInOneBatch},
		{"an effect is stored and updated in place", effectIsStored},
		{"an effect that finds another status is lost", effectCompares},
		{"a batch of 300 is one transaction", largeBatch},
		{"one bad record of 64 is undone alone", oneBadOf64},
		{"a batch of bad records commits nothing", allBad},
		{"a change of nothing writes nothing", emptyChange},
		{"a decision that panics leaves nothing behind", panickingDecision},
		{"a batch after its deadline leaves nothing behind", deadlinePassed},
		{"the operator's statements run once for each effect", stockIsExact},
		{"unknown members of an order reach the operator's statements", unknownMembersKept},
		{"the operator's parameters hold what they say", parametersHold},
		{"a mistake in the effect file names its line", effectFileMistakes},
		{"a position is written once, for its own hop", placeOnce},
		{"of many positions one is written", placeRace},
		{"an order shows all its messages", orderView},
		{"rows are found by both parts of their key", rowsByKey},
		{"counts are those of what is not done", counts},
		{"sums of what is not done name the newest of the dead", pending},
		{"expiry stays below the commit", expiry},
		{"expiry goes past what must stay", expiryGoesOn},
		{"groups do not see each other", groupsApart},
		{"every kind of write goes into one batch", mixedBatch},
		{"new rows of one batch keep apart what each has and has not", unlikeRows},
		{"each kind of write that is lost is raced alone", oneRacedOfMany},
		{"an id that is no text is refused alone", noTextIsRefused},
		{"what is said about a failure is stored whatever it is", failureOfAnyBytes},
		{"the operator's parameters are what the columns want", typedParameters},
		{"pages of a partition hold each row once", pagesOfAPartition},
		{"every content of many ids is found", messagesByID},
		{"a partition forgets its discards", controlsAreForgotten},
		{"the log of a commit is remembered", logsAreRemembered},
	}
}

// ofDatabases are about several processes, the schema, and the end.
func ofDatabases(child string) []promise {
	return []promise{
		{"two stores on one order have one effect", twoStores},
		{"batches that overlap do not stop each other", overlappingBatches},
		{"the order holds between a tier and the source", orderHolds(child)},
		{"a process killed in a transaction leaves nothing", killedInTransaction(child)},
		{"two processes on the same orders have one effect each", twoProcesses(child)},
		{"migrations run once", migrateTwice},
		{"migrations of many at once run once", migrateAtOnce},
		{"migrations of many processes at once run once", migrateInProcesses(child)},
		{"a schema that is too new is refused", newerSchema},
		{"a schema that is too old is refused", olderSchema},
		{"a closed store answers with an outage", closedStore},
		{"closing waits for the transaction that runs", closeWaits},
	}
}
