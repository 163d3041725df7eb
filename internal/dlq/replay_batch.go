package dlq

import (
	"context"
	"errors"
	"fmt"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/queue"
)

// one sends a batch, or as many of it as fit, and returns how many entries are dealt with.
func (w *replaying) one(ctx context.Context, entries []PlanEntry) (int, error) {
	if err := w.job.mine(ctx); err != nil {
		return 0, err
	}
	letters, took, err := w.read(ctx, entries)
	if err != nil || len(letters) == 0 {
		return took, err
	}
	w.batch++
	messages, intent, err := w.intend(ctx, letters)
	if err != nil {
		return 0, err
	}
	failpoint.Hit("after-intent")
	acks, err := w.produce(ctx, letters, messages, intent)
	failpoint.Hit("before-ledger")
	if err := errors.Join(err, w.enter(ctx, letters, acks)); err != nil {
		return 0, err
	}
	failpoint.Hit("after-ledger")
	return took, nil
}

// planned is a letter of the batch with its entry.
type planned struct {
	id     ID
	letter Letter
	entry  PlanEntry
	at     queue.Position
}

// read reads the letters of the entries, as many as fit into a batch, and leaves out those that are decided by now and
// those that are not what was planned.
func (w *replaying) read(ctx context.Context, entries []PlanEntry) (letters []planned, took int, err error) {
	ids := make([]ID, len(entries))
	for i, e := range entries {
		if ids[i], err = ParseID(e.ID); err != nil {
			return nil, 0, err
		}
	}
	found, err := w.Reader.Wholes(ctx, ids)
	if err != nil {
		return nil, 0, err
	}
	full := 0
	for i, e := range entries {
		l, ok := found[ids[i]]
		at, bad := parseTarget(e.Target)
		switch said, decided := w.Ledger.Decides(l); {
		case !ok || bad != nil || l.Lost || digest(l.Key, l.Value) != e.SHA256:
			w.sum.Changed = append(w.sum.Changed, ids[i])
		case decided && said.Job == w.Plan.ID && said.State == DecisionReplayed:
			w.sum.Replayed++
			w.sent = append(w.sent, goneOf(ids[i], l))
		case !w.Again && w.past(l, said, decided):
			w.sum.Handled++
		case len(letters) > 0 && full+e.size(l) > maxBatchBytes:
			return letters, i, nil
		default:
			full += e.size(l)
			letters = append(letters, planned{id: ids[i], letter: l, entry: e, at: at})
		}
	}
	return letters, len(entries), nil
}

// size is how much of a batch the letter takes as it is sent.
func (e PlanEntry) size(l Letter) int {
	if e.Edit != nil {
		return len(l.Key) + len(e.Edit.Value)
	}
	return len(l.Key) + len(l.Value)
}

// past reports whether somebody has dealt with the letter since the plan was made. A letter that was discarded before can be
// replayed when the plan names it.
func (w *replaying) past(l Letter, said Entry, decided bool) bool {
	if decided && (said.State == DecisionReplayed || said.State == DecisionDiscarded && said.At.After(w.Plan.CreatedAt)) {
		return true
	}
	return w.Rows != nil && (l.State == Resolved || l.State == DeadAgain || l.State == InWork)
}

// intend notes the batch in the ledger, with the ends of its targets, before anything is sent.
func (w *replaying) intend(ctx context.Context, letters []planned) ([]queue.Message, *Intent, error) {
	failpoint.Hit("before-intent")
	intent := &Intent{Batch: w.batch, Ends: map[string]int64{}}
	target, err := ParseTarget(w.Plan.To, w.Plan.DLQ.Topic)
	if err != nil {
		return nil, nil, err
	}
	var messages []queue.Message
	bounds := map[string]map[int32]Span{}
	for _, p := range letters {
		if bounds[p.at.Topic] == nil {
			if bounds[p.at.Topic], err = w.Log.Bounds(ctx, p.at.Topic); err != nil {
				return nil, nil, fmt.Errorf("find ends of %s: %w", p.at.Topic, err)
			}
		}
		span, ok := bounds[p.at.Topic][p.at.Partition]
		if !ok {
			return nil, nil, fmt.Errorf("target %s of %s: %w", place(p.at), p.entry.ID, queue.ErrNotFound)
		}
		intent.Letters = append(intent.Letters, p.entry.ID)
		intent.Ends[place(p.at)] = span.End
		messages = append(messages, replayed(p.letter, p.entry, p.at, target.Group(), w.Plan.ID, w.Now()))
	}
	return messages, intent, w.job.note(ctx, func(e *JobEntry) { e.Intent = intent })
}

// produce sends the batch. What was refused is sent again; what may have been written is looked for first.
func (w *replaying) produce(ctx context.Context, letters []planned, messages []queue.Message, intent *Intent) (map[string]queue.Position, error) {
	acks := map[string]queue.Position{}
	var last error
	for try := 1; try <= sendTries; try++ {
		var left []queue.Message
		var ids []string
		for i, p := range letters {
			if _, ok := acks[p.entry.ID]; !ok {
				left, ids = append(left, messages[i]), append(ids, p.entry.ID)
			}
		}
		if len(left) == 0 {
			return acks, nil
		}
		outcomes, err := send(ctx, w.Producer, left, func() { failpoint.Hit("mid-batch") })
		if err != nil {
			return acks, err
		}
		for i, o := range outcomes {
			if o.err == nil {
				acks[ids[i]] = o.at
			} else if last = o.err; denied(o.err) {
				return acks, fmt.Errorf("replay letter %s to %s: %w", ids[i], letters[i].at.Topic, o.err)
			}
		}
		if len(acks) == len(letters) {
			return acks, nil
		}
		found, err := w.find(ctx, intent, w.Plan.ID)
		if err != nil {
			return acks, errors.Join(last, err)
		}
		for id, at := range found {
			acks[id] = at.Position
		}
	}
	return acks, fmt.Errorf("replay of %d letters: %w: %w", len(letters)-len(acks), ErrUnsent, last)
}

// enter writes what was sent to the ledger.
func (w *replaying) enter(ctx context.Context, letters []planned, acks map[string]queue.Position) error {
	var entries []queue.Message
	var sent []gone
	for _, p := range letters {
		at, ok := acks[p.entry.ID]
		if !ok {
			continue
		}
		m, err := Entry{
			State: DecisionReplayed, Job: w.Plan.ID, Operator: w.Operator, Reason: w.Plan.Reason, PlanSHA256: w.job.entry.PlanSHA256, Target: at.String(),
			Origin: originOf(p.letter), Hop: p.letter.Trail.Hop, SHA256: p.entry.SHA256, Edited: p.entry.Edit != nil, At: w.Now().UTC(),
		}.record(w.Ledger.Topic, p.id, w.Now())
		if err != nil {
			return err
		}
		entries, sent = append(entries, m), append(sent, goneOf(p.id, p.letter))
	}
	if len(entries) == 0 {
		return nil
	}
	if err := write(ctx, w.Producer, entries); err != nil {
		return err
	}
	w.sent = append(w.sent, sent...)
	w.sum.Replayed, w.sum.Sent = w.sum.Replayed+len(sent), w.sum.Sent+len(sent)
	w.job.progress(len(sent))
	return nil
}
