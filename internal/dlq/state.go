package dlq

import (
	"context"
	"fmt"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// State is what has become of a letter.
type State string

// The states of a letter.
const (
	Undecided State = "undecided"
	Replayed  State = "replayed"   // it was sent again; what became of it is not known, or not yet
	Resolved  State = "resolved"   // its message is done
	DeadAgain State = "dead-again" // its message was replayed and died: there is a newer letter
	InWork    State = "in-work"    // its message was replayed and is on its way
	Discarded State = "discarded"
	Lost      State = "lost" // a pointer whose source record is gone
)

// States returns all states.
func States() []State {
	return []State{Undecided, Replayed, Resolved, DeadAgain, InWork, Discarded, Lost}
}

// Ledger returns what operators did with the letters of the topic. It is read once.
func (r *Reader) Ledger(ctx context.Context) (*Ledger, error) {
	if r.ledger != nil {
		return r.ledger, nil
	}
	ledger, err := ReadLedger(ctx, r.log, r.topic+".audit")
	if err != nil {
		return nil, err
	}
	r.ledger = ledger
	return ledger, nil
}

// entry returns what the ledger says of a letter, whichever of its copies was decided.
func (r *Reader) entry(l Letter) *Entry {
	e, found := r.ledger.Decides(l)
	if !found {
		return nil
	}
	return &e
}

// choose judges letters and keeps those whose state and content are wanted.
func (r *Reader) choose(ctx context.Context, letters []Letter, sel Selection) ([]Letter, error) {
	if err := r.judge(ctx, letters); err != nil {
		return nil, err
	}
	var failed error
	chosen := slices.DeleteFunc(letters, func(l Letter) bool {
		if failed != nil || !sel.wants(l) {
			return true
		}
		ok, err := sel.Query.match(ctx, l)
		failed = err
		return !ok
	})
	return chosen, failed
}

// judge follows pointers and sets the state of each letter: the row of its message decides, and where there is none, the
// ledger.
func (r *Reader) judge(ctx context.Context, letters []Letter) error {
	if len(letters) == 0 {
		return nil
	}
	if _, err := r.Ledger(ctx); err != nil {
		return err
	}
	if err := r.follow(ctx, letters); err != nil {
		return err
	}
	known, err := r.known(ctx, letters)
	if err != nil {
		return err
	}
	for i := range letters {
		l := &letters[i]
		l.Ledger = r.entry(*l)
		asked := r.question(*l)
		l.untold = asked == question{}
		row, found := known[asked]
		if l.State = stateOf(*l, row, found); l.State == Undecided && l.Lost {
			l.State = Lost
		}
	}
	return nil
}

// question is what the store is asked about a letter. Of a foreign letter it knows nothing.
type question struct {
	group string
	row   queue.RowKey
}

func (r *Reader) question(l Letter) question {
	if r.rows == nil || l.Dialect != DialectOwn || l.Trail.MsgID == "" {
		return question{}
	}
	group := r.group
	if group == "" {
		group = l.Trail.Group
	}
	return question{group: group, row: l.rowKey()}
}

// known reads the rows of letters, 500 a question.
func (r *Reader) known(ctx context.Context, letters []Letter) (map[question]queue.Row, error) {
	const page = 500
	asked := map[string][]queue.RowKey{}
	for _, l := range letters {
		if q := r.question(l); q != (question{}) {
			asked[q.group] = append(asked[q.group], q.row)
		}
	}
	known := map[question]queue.Row{}
	for group, keys := range asked {
		for some := range slices.Chunk(keys, page) {
			rows, err := r.rows.Rows(ctx, group, some)
			if err != nil {
				return nil, fmt.Errorf("read message rows of %s: %w", group, err)
			}
			for key, row := range rows {
				known[question{group: group, row: key}] = row
			}
		}
	}
	return known, nil
}

// stateOf decides by the message's row. While the row still stands where the letter left it, the ledger knows more: what an
// operator sent is on its way to the worker. Without a row the ledger alone speaks.
func stateOf(l Letter, row queue.Row, found bool) State {
	told := Undecided
	if l.Ledger != nil {
		switch l.Ledger.State {
		case DecisionReplayed:
			told = Replayed
		case DecisionDiscarded:
			told = Discarded
		}
	}
	switch {
	case !found:
		return told
	case row.State == queue.StateDone:
		return Resolved
	case row.Hop > l.Trail.Hop && row.State.Waiting():
		return InWork
	case row.Hop > l.Trail.Hop:
		return DeadAgain
	case row.State == queue.StateDiscarded && (l.Ledger == nil || row.Outcome == queue.Superseded):
		return Discarded
	default:
		return told
	}
}
