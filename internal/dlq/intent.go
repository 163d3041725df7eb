package dlq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// settleIntents looks after jobs that ended between sending a batch and writing it down: what lies in their targets was
// sent. Otherwise a letter would be sent a second time, which only the group's own database would notice.
func (w *replaying) settleIntents(ctx context.Context) error {
	for _, other := range w.Ledger.Jobs() {
		if other.Intent == nil || other.Kind != KindReplay || other.ID != w.Plan.ID && other.running(w.Now()) {
			continue
		}
		open := slices.DeleteFunc(slices.Clone(other.Intent.Letters), func(s string) bool {
			id, err := ParseID(s)
			said, ok := w.Ledger.Of(id)
			return err != nil || ok && said.State == DecisionReplayed && (!w.Again || other.ID != w.Plan.ID || said.Job == other.ID)
		})
		if len(open) == 0 {
			continue
		}
		found, err := w.find(ctx, other.Intent, other.ID)
		if err != nil {
			return err
		}
		if err := w.claim(ctx, other, open, found); err != nil {
			return err
		}
	}
	return w.Ledger.refresh(ctx, w.Log)
}

// claim writes down what a job had sent.
func (w *replaying) claim(ctx context.Context, j JobEntry, open []string, found map[string]landed) error {
	var entries []queue.Message
	for _, s := range open {
		at, ok := found[s]
		if !ok {
			continue
		}
		id, err := ParseID(s)
		if err != nil {
			return err
		}
		l, err := w.Reader.At(ctx, id)
		if errors.Is(err, queue.ErrNotFound) {
			continue // retention has taken it
		}
		if err != nil {
			return err
		}
		if !at.is(l) {
			continue // of a topic that was made anew since: another letter has the name
		}
		m, err := Entry{
			State: DecisionReplayed, Job: j.ID, Operator: j.Operator, Reason: j.Reason, PlanSHA256: j.PlanSHA256, Target: at.String(),
			Origin: originOf(l), Hop: l.Trail.Hop, SHA256: digest(l.Key, l.Value), Edited: at.edits(l), At: j.At,
		}.record(w.Ledger.Topic, id, w.Now())
		if err != nil {
			return err
		}
		entries = append(entries, m)
	}
	if len(entries) == 0 {
		return nil
	}
	if err := write(ctx, w.Producer, entries); err != nil {
		return err
	}
	if j.ID == w.Plan.ID {
		w.job.progress(len(entries))
	}
	return nil
}

// landed is where a letter was sent to.
type landed struct {
	queue.Position
	edited string // the edit that the record names; its letter may name an earlier one
	key    string
	sum    string // of its key and value
}

func (a landed) edits(l Letter) bool { return a.edited != l.Trail.Edited }

// is reports whether the letter is the one that was sent. Of one whose source is lost by now nothing else is known.
func (a landed) is(l Letter) bool {
	return l.Lost || a.key == string(l.Key) && (a.edits(l) || a.sum == digest(l.Key, l.Value))
}

// find returns where the letters of an intent lie in their targets, from the ends that were noted on.
func (w *replaying) find(ctx context.Context, intent *Intent, job string) (map[string]landed, error) {
	found := map[string]landed{}
	if intent == nil {
		return found, nil
	}
	for name, from := range intent.Ends {
		at, err := parseTarget(name)
		if err != nil {
			continue // not our word: anybody with access can write to a ledger
		}
		bounds, err := w.Log.Bounds(ctx, at.Topic)
		if errors.Is(err, queue.ErrNotFound) {
			continue // the topic is gone, and what was sent to it
		}
		if err != nil {
			return nil, fmt.Errorf("find ends of %s: %w", at.Topic, err)
		}
		span := bounds[at.Partition]
		if from = max(from, span.Start); from >= span.End {
			continue
		}
		err = w.Log.Scan(ctx, at.Topic, at.Partition, from, span.End, func(r queue.Record) error {
			of, _ := queue.Last(r.Headers, queue.HeaderReplayOf)
			by, _ := queue.Last(r.Headers, queue.HeaderReplayID)
			if by == job && slices.Contains(intent.Letters, of) {
				edited, _ := queue.Last(r.Headers, queue.HeaderEdited)
				found[of] = landed{r.Position(), edited, string(r.Key), digest(r.Key, r.Value)}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for sent letters in %s: %w", name, err)
		}
	}
	return found, nil
}

// place names a partition as entries and intents do.
func place(at queue.Position) string { return fmt.Sprintf("%s/%d", at.Topic, at.Partition) }

// parseTarget reads "topic/partition".
func parseTarget(s string) (queue.Position, error) {
	topic, number, found := cutLast(s, "/")
	n, err := strconv.ParseUint(number, 10, 31)
	if !found || topic == "" || err != nil {
		return queue.Position{}, fmt.Errorf("%q is no topic/partition", s)
	}
	return queue.Position{Topic: topic, Partition: int32(n), Offset: -1}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// originOf is where the letter's message came from; nil: incomplete.
func originOf(l Letter) *Origin {
	o := l.Trail.Origin
	if o.Topic == "" || o.Partition < 0 || o.Offset < 0 {
		return nil
	}
	return &Origin{Topic: utf8Text(o.Topic), Partition: o.Partition, Offset: o.Offset, Group: utf8Text(l.Trail.Group)}
}
