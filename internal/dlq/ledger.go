package dlq

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// LedgerSchema names the form of the entries of a ledger.
const LedgerSchema = "orderctl.dlq.audit/v1"

// Decision is what an operator did with a letter.
type Decision string

// The decisions. Replayed is final; a discard can be undone, which makes its letter undecided again.
const (
	DecisionReplayed  Decision = "replayed"
	DecisionDiscarded Decision = "discarded"
	DecisionReopened  Decision = "reopened"
)

// Entry is what the ledger says of one letter: who did what with it, when and why. Its record lies in the letter's
// partition of the audit topic under the key "partition/offset".
type Entry struct {
	Schema     string    `json:"schema"`
	State      Decision  `json:"state"`
	Job        string    `json:"job"`
	Operator   string    `json:"operator"`
	Reason     string    `json:"reason,omitempty"`
	PlanSHA256 string    `json:"plan_sha256,omitempty"`
	Target     string    `json:"target,omitempty"` // topic/partition@offset of the record that was sent
	Origin     *Origin   `json:"origin,omitempty"` // nil: incomplete
	Hop        int       `json:"hop"`              // of the letter
	SHA256     string    `json:"sha256,omitempty"` // of the letter's key and value
	Edited     bool      `json:"edited,omitempty"`
	At         time.Time `json:"at"`
}

// Ledger is what operators did with the letters of one dead-letter topic, as it stood when it was read.
type Ledger struct {
	Topic   string // <dlq>.audit
	Missing bool   // there is no such topic: nothing is decided, and nothing can be

	letters map[ID]Entry
	copies  map[copyID]told // the same, by origin and hop: copies of a letter share them
	jobs    map[string]JobEntry
	read    map[int32]int64 // up to where each partition was read; of all that there are
}

// told is an entry, and the letter that it was written for.
type told struct {
	Entry
	by ID
}

// ReadLedger reads a ledger from its start up to its end. It is compacted: a few thousand entries. One that is not there
// decides nothing.
func ReadLedger(ctx context.Context, log Log, topic string) (*Ledger, error) {
	l := &Ledger{Topic: topic, letters: map[ID]Entry{}, copies: map[copyID]told{}, jobs: map[string]JobEntry{}, read: map[int32]int64{}}
	err := l.refresh(ctx, log)
	if errors.Is(err, queue.ErrNotFound) {
		l.Missing = true
		return l, nil
	}
	return l, err
}

// refresh reads what was written since the ledger was read.
func (l *Ledger) refresh(ctx context.Context, log Log) error {
	bounds, err := log.Bounds(ctx, l.Topic)
	if err != nil {
		return fmt.Errorf("find ends of ledger %s: %w", l.Topic, err)
	}
	for _, p := range slices.Sorted(maps.Keys(bounds)) {
		from, end := max(bounds[p].Start, l.read[p]), bounds[p].End
		if from >= end {
			l.read[p] = max(l.read[p], end)
			continue
		}
		err := log.Scan(ctx, l.Topic, p, from, end, func(r queue.Record) error {
			l.add(r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read ledger %s/%d: %w", l.Topic, p, err)
		}
		l.read[p] = end
	}
	return nil
}

// add takes one record over. What is not ours is passed over: anybody with access can write there.
func (l *Ledger) add(r queue.Record) {
	key := string(r.Key)
	if id, isJob := strings.CutPrefix(key, jobPrefix); isJob {
		l.addJob(id, r.Value)
		return
	}
	id, err := ParseID(key)
	if err != nil || id.Partition != r.Partition {
		return
	}
	if r.Value == nil {
		l.forget(id)
		return
	}
	var e Entry
	if json.Unmarshal(r.Value, &e) != nil || e.Schema != LedgerSchema || e.State == "" {
		return
	}
	if was := l.letters[id]; was.State == DecisionReplayed && e.State != DecisionReplayed {
		return // it is final
	}
	l.letters[id] = e
	l.tell(told{e, id})
}

// tell lets an entry decide all copies of its letter. Of entries in one partition the later one counts, whatever the clocks of
// their operators say.
func (l *Ledger) tell(e told) {
	same, ok := e.copyOf()
	if !ok {
		return
	}
	was, found := l.copies[same]
	final := was.State == DecisionReplayed && e.State != DecisionReplayed
	if !found || !final && was.by.Partition == e.by.Partition || e.supersedes(was.Entry) {
		l.copies[same] = e
	}
}

// forget takes back what was said for one letter. Its copies have their own entries.
func (l *Ledger) forget(id ID) {
	same, ok := l.letters[id].copyOf()
	delete(l.letters, id)
	if !ok || l.copies[same].by != id {
		return
	}
	delete(l.copies, same)
	for other, e := range l.letters {
		if of, ok := e.copyOf(); ok && of == same {
			l.tell(told{e, other})
		}
	}
}

// copyOf is what the copies of the entry's letter share.
func (e Entry) copyOf() (copyID, bool) {
	o := e.Origin
	if o == nil {
		return copyID{}, false
	}
	return copyIDOf(queue.Position{Topic: o.Topic, Partition: o.Partition, Offset: o.Offset}, e.Hop, o.Group), true
}

// Decides returns what the ledger says of a letter: an entry on any of its copies decides it. ok is false when there is none.
// An entry of its name that tells another origin is about another letter: that of a topic which has since been made anew.
func (l *Ledger) Decides(letter Letter) (e Entry, ok bool) {
	if e, ok = l.Of(append([]ID{letter.ID}, letter.CopyIDs...)...); l == nil {
		return e, ok
	}
	same, has := letter.copyOf()
	if of, told := e.copyOf(); ok && told && (!has || of != same) {
		e, ok = Entry{}, false
	}
	if has {
		if found, is := l.copies[same]; is && (!ok || e.Origin != nil || found.supersedes(e)) {
			return found.Entry, true
		}
	}
	return e, ok
}

// Of returns the entry that decides the letters of these names, which are copies of one. ok is false when there is none.
func (l *Ledger) Of(copies ...ID) (e Entry, ok bool) {
	if l == nil {
		return Entry{}, false
	}
	for _, id := range copies {
		found, is := l.letters[id]
		if is && (!ok || found.supersedes(e)) {
			e, ok = found, true
		}
	}
	return e, ok
}

func (e Entry) supersedes(other Entry) bool {
	if (e.State == DecisionReplayed) != (other.State == DecisionReplayed) {
		return e.State == DecisionReplayed
	}
	return e.At.After(other.At)
}

// Letters returns the names of all letters with an entry, by partition and offset.
func (l *Ledger) Letters() []ID { return slices.SortedFunc(maps.Keys(l.letters), ID.compare) }

// count returns how many letters a job has decided.
func (l *Ledger) count(job string) int {
	n := 0
	for _, e := range l.letters {
		if e.Job == job {
			n++
		}
	}
	return n
}

// Job returns what the ledger says of one job.
func (l *Ledger) Job(id string) (JobEntry, bool) {
	if l == nil {
		return JobEntry{}, false
	}
	j, ok := l.jobs[id]
	return j, ok
}

// Jobs returns all jobs, the newest first.
func (l *Ledger) Jobs() []JobEntry {
	if l == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(l.jobs), func(a, b JobEntry) int {
		return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(a.ID, b.ID))
	})
}

// record is the entry as it is written.
func (e Entry) record(ledger string, id ID, now time.Time) (queue.Message, error) {
	e.Schema = LedgerSchema
	value, err := json.Marshal(e)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encode ledger entry of %s: %w", id, err)
	}
	return queue.Message{Topic: ledger, Partition: id.Partition, Key: []byte(id.String()), Value: value, Time: now}, nil
}
