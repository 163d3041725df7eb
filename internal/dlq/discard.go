package dlq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/queue"
)

// Discard takes letters out of the undecided ones, or back among them. Nothing is deleted: the bytes of a letter go by
// retention alone. A letter of the group changes its row in order, by a record of the replay topic; of any other one the
// ledger alone knows.
type Discard struct {
	*Desk
	Job      string
	Names    queue.Names
	Own      bool // the letters are those of the group itself
	Undo     bool
	Reason   string
	Stop     <-chan struct{}       // closed: end after the batch in hand
	Progress func(done, total int) // may be nil

	replay map[int32]Span // partitions of the replay topic
}

// Discarding is what became of the letters.
type Discarding struct {
	Job     string
	Done    int
	Handled int // are past already, or not discarded in the first place
	Settled int // letters that were not chosen now: an earlier job had sent their records and ended before it said so
	Stopped bool
}

// Unsettled reports whether a discard ended, or runs, between its records and its word on them in the ledger. It is to be
// settled though no letter looks undecided any more.
func (l *Ledger) Unsettled() bool {
	return slices.ContainsFunc(l.Jobs(), func(j JobEntry) bool { return len(l.open(j)) > 0 })
}

// open are the letters of the batch that a discard had in hand of which nothing was said since.
func (l *Ledger) open(j JobEntry) []ID {
	if j.Intent == nil || j.Kind == KindReplay {
		return nil
	}
	var open []ID
	for _, s := range j.Intent.Letters {
		id, err := ParseID(s)
		if err != nil {
			continue
		}
		if said, ok := l.Of(id); !ok || said.At.Before(j.Began) {
			open = append(open, id)
		}
	}
	return open
}

// Fits reports whether a letter can be discarded, or its discard undone.
func (d *Discard) Fits(l Letter) bool {
	if d.Undo {
		return l.State == Discarded && (l.Ledger == nil || l.Ledger.State == DecisionDiscarded)
	}
	return l.State == Undecided || l.State == Lost
}

func (d *Discard) kind() JobKind {
	if d.Undo {
		return KindUndo
	}
	return KindDiscard
}

// Run decides the letters, batch by batch.
func (d *Discard) Run(ctx context.Context, letters []Letter) (Discarding, error) {
	sum := Discarding{Job: d.Job}
	if d.Own {
		var err error
		if d.replay, err = d.Log.Bounds(ctx, d.Names.Replay()); err != nil {
			return sum, fmt.Errorf("find ends of %s: %w", d.Names.Replay(), err)
		}
	}
	fit := slices.DeleteFunc(slices.Clone(letters), func(l Letter) bool { return !d.Fits(l) })
	sum.Handled = len(letters) - len(fit)
	slices.SortFunc(fit, func(a, b Letter) int { return a.ID.compare(b.ID) })
	names := make([]string, len(fit))
	for i, l := range fit {
		names[i] = l.ID.String()
	}
	sha := sha256.Sum256([]byte(string(d.kind()) + " " + strings.Join(names, " ")))
	j, err := d.open(ctx, JobEntry{ID: d.Job, Kind: d.kind(), Planned: len(fit), Reason: d.Reason, PlanSHA256: hex.EncodeToString(sha[:])})
	if err != nil {
		return sum, err
	}
	err = j.during(ctx, func(ctx context.Context) (JobState, error) {
		resumed, err := d.resume(ctx, j)
		if err != nil {
			return JobFailed, err
		}
		left := d.meanwhile(fit, resumed, &sum)
		sum.Settled = len(resumed)
		return d.all(ctx, j, left, &sum)
	})
	return sum, err
}

// meanwhile leaves out what was decided between the choice of the letters and now: an operator may have thought for long.
// What this run has finished for an earlier one is done.
func (d *Discard) meanwhile(fit []Letter, resumed map[ID]JobKind, sum *Discarding) []Letter {
	still := DecisionReopened // an entry that leaves something to do
	if d.Undo {
		still = DecisionDiscarded
	}
	return slices.DeleteFunc(fit, func(l Letter) bool {
		e, decided := d.Ledger.Decides(l)
		if !decided || e.State == still {
			return false
		}
		if resumed[l.ID] == d.kind() {
			sum.Done++
		} else {
			sum.Handled++
		}
		delete(resumed, l.ID)
		return true
	})
}

func (d *Discard) all(ctx context.Context, j *job, left []Letter, sum *Discarding) (JobState, error) {
	total, number := sum.Done+len(left), 0
	for batch := range slices.Chunk(left, maxBatch) {
		select {
		case <-d.Stop:
			sum.Stopped = true
			return JobInterrupted, nil
		default:
		}
		if err := j.mine(ctx); err != nil {
			return JobFailed, err
		}
		number++
		intent := &Intent{Batch: number, Ends: map[string]int64{}}
		for _, l := range batch {
			intent.Letters = append(intent.Letters, l.ID.String())
		}
		// All of the batch may be done again: the worker compares.
		if err := j.note(ctx, func(e *JobEntry) { e.Intent, e.Planned = intent, len(left) }); err != nil {
			return JobFailed, err
		}
		failpoint.Hit("discard-intended")
		if err := d.decide(ctx, j.entry, batch); err != nil {
			return JobFailed, err
		}
		j.progress(len(batch))
		sum.Done += len(batch)
		if d.Progress != nil {
			d.Progress(sum.Done, total)
		}
	}
	if len(left) == 0 {
		return JobFinished, j.note(ctx, func(e *JobEntry) { e.Planned = 0 })
	}
	return JobFinished, nil
}

// decide sends the records of some letters, then writes the ledger, in the name of a job.
func (d *Discard) decide(ctx context.Context, e JobEntry, letters []Letter) error {
	state, control := DecisionDiscarded, "true"
	if e.Kind == KindUndo {
		state, control = DecisionReopened, "undo"
	}
	var records, entries []queue.Message
	for _, l := range letters {
		if m, ok := d.control(l, e.ID, control); ok {
			records = append(records, m)
		}
		m, err := Entry{
			State: state, Job: e.ID, Operator: e.Operator, Reason: e.Reason, PlanSHA256: e.PlanSHA256, Origin: originOf(l), Hop: l.Trail.Hop,
			SHA256: l.sha256(), At: d.Now().UTC(),
		}.record(d.Ledger.Topic, l.ID, d.Now())
		if err != nil {
			return err
		}
		entries = append(entries, m)
	}
	if err := write(ctx, d.Producer, records); err != nil {
		return err
	}
	failpoint.Hit("discard-sent")
	return write(ctx, d.Producer, entries)
}

// control is the record that changes the row of a letter. ok is false for a letter that no row of the group is about, or whose
// row no record can reach: what others wrote among the letters may claim any origin, and must not stand in the way of the rest.
func (d *Discard) control(l Letter, job, what string) (m queue.Message, ok bool) {
	o := l.Trail.Origin
	if _, there := d.replay[o.Partition]; !there || o.Topic != d.Names.Source || o.Offset < 0 || l.Trail.MsgID == "" {
		return m, false
	}
	t := queue.Trail{
		Hop: l.Trail.Hop, Origin: o, Group: l.Trail.Group, MsgID: l.Trail.MsgID, Fingerprint: l.Trail.Fingerprint,
		ReplayID: job, ReplayOf: l.ID.String(), Discard: what,
	}
	return queue.Message{Topic: d.Names.Replay(), Partition: o.Partition, Key: l.Key, Headers: t.Append(nil), Time: d.Now()}, true
}

// resume finishes what an earlier job had begun when it ended: perhaps its records were sent and nothing says why. It
// returns the letters that this decided, and how.
func (d *Discard) resume(ctx context.Context, j *job) (map[ID]JobKind, error) {
	resumed := map[ID]JobKind{}
	for _, other := range d.Ledger.Jobs() {
		if other.ID == j.entry.ID || other.running(d.Now()) || len(d.Ledger.open(other)) == 0 {
			continue
		}
		open, err := d.undone(ctx, other)
		if err != nil {
			return nil, fmt.Errorf("go on with %s: %w", other.ID, err)
		}
		if err := d.decide(ctx, other, open); err != nil {
			return nil, err
		}
		other.Done = d.Ledger.count(other.ID) + len(open)
		other.Intent, other.State = nil, JobInterrupted
		if other.Done >= other.Planned {
			other.State = JobFinished
		}
		m, err := other.record(d.Ledger.Topic, d.Now())
		if err != nil {
			return nil, err
		}
		if err := write(ctx, d.Producer, []queue.Message{m}); err != nil {
			return nil, err
		}
		for _, l := range open {
			resumed[l.ID] = other.Kind
		}
	}
	return resumed, d.Ledger.refresh(ctx, d.Log)
}

// undone reads the letters of which a job has said nothing.
func (d *Discard) undone(ctx context.Context, j JobEntry) ([]Letter, error) {
	var open []Letter
	for _, id := range d.Ledger.open(j) {
		l, err := d.Reader.At(ctx, id)
		if errors.Is(err, queue.ErrNotFound) {
			continue // retention has taken it
		}
		if err != nil {
			return nil, err
		}
		open = append(open, l)
	}
	return open, nil
}
