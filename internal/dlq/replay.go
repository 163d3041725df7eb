package dlq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/queue"
)

// Bounds of one batch of a replay.
const (
	maxBatch      = 100
	maxBatchBytes = 1 << 20
)

// ErrMadeAnew says that the plan is about another topic or cluster of the same name.
var ErrMadeAnew = errors.New("the plan is of another topic")

// Replay carries out one plan.
type Replay struct {
	*Desk
	Plan     Plan
	Cluster  Cluster
	Rows     Rows // nil: no store, the ledger alone speaks
	Again    bool // also what is handled
	Batch    int  // letters at once, 1 to 100; 0: 100
	Rate     float64
	Wait     time.Duration         // for the outcome of what was sent; 0: none
	Late     Late                  // nil: nothing comes along later
	Stop     <-chan struct{}       // closed: end after the batch in hand
	Progress func(done, total int) // may be nil
}

// Late plans the letters that died behind those of the replay since it was planned.
type Late func(ctx context.Context) ([]PlanEntry, error)

// latePasses is how often letters that came late are replayed.
const latePasses = 10

// Summary is what became of the entries of a plan.
type Summary struct {
	Job      string
	Planned  int             // entries to replay
	Replayed int             // by this job, in this run and in earlier ones
	Sent     int             // by this run
	Late     int             // of those: came along after the plan was made
	Handled  int             // were decided already, by somebody else
	Skipped  map[Warning]int // by the plan
	Changed  []ID            // are not what was planned: left alone
	Stopped  bool            // by the operator, before the end
	Waited   bool            // the outcome was asked for
	Outcome
}

// Run sends what the plan says. Of a job that ended early it sends what is left. The error is about the first thing that
// kept it from going on; the summary tells how far it came in any case.
func (r *Replay) Run(ctx context.Context) (Summary, error) {
	w := &replaying{Replay: r, sum: Summary{Job: r.Plan.ID}}
	if err := r.sameTopic(ctx); err != nil {
		return w.sum, err
	}
	left := w.chosen()
	var err error
	w.job, err = r.open(ctx, JobEntry{ID: r.Plan.ID, Kind: KindReplay, Planned: w.sum.Planned, Reason: r.Plan.Reason, PlanSHA256: r.Plan.SHA256()})
	if err != nil {
		return w.sum, err
	}
	return w.sum, w.job.during(ctx, func(ctx context.Context) (JobState, error) {
		if err := w.all(ctx, left); err != nil {
			return JobFailed, err
		}
		err := w.after(ctx)
		if w.sum.Stopped {
			return JobInterrupted, err
		}
		return JobFinished, err
	})
}

// sameTopic refuses a plan of another cluster, and of a topic that was made anew since.
func (r *Replay) sameTopic(ctx context.Context) error {
	cluster, topics, err := r.Cluster.Topics(ctx, r.Plan.DLQ.Topic)
	if err != nil {
		return err
	}
	now, ok := topics[r.Plan.DLQ.Topic]
	switch {
	case !ok:
		return fmt.Errorf("topic %s: %w", r.Plan.DLQ.Topic, queue.ErrNotFound)
	case r.Plan.ClusterID != cluster:
		return fmt.Errorf("%w: it was made on cluster %s, this is %s", ErrMadeAnew, r.Plan.ClusterID, cluster)
	case r.Plan.DLQ.TopicID != now.ID:
		return fmt.Errorf("%w: %s was made anew since", ErrMadeAnew, r.Plan.DLQ.Topic)
	}
	return nil
}

// chosen are the entries that the plan replays; the others are counted by their first warning, those that are handled as
// that.
func (w *replaying) chosen() []PlanEntry {
	var left []PlanEntry
	w.sum.Skipped = map[Warning]int{}
	for _, e := range w.Plan.Entries {
		switch {
		case e.Action == ActReplay:
			left = append(left, e)
		case slices.Contains(e.Warnings, Handled):
			w.sum.Handled++
		default:
			w.sum.Skipped[e.why()]++
		}
	}
	w.sum.Planned = len(left)
	return left
}

// why is the first warning that makes a plan skip the letter.
func (e PlanEntry) why() Warning {
	for _, x := range e.Warnings {
		if x != NoStore {
			return x
		}
	}
	return "by-hand"
}

// replaying is a replay that runs.
type replaying struct {
	*Replay
	job   *job
	sum   Summary
	batch int
	sent  []gone // what this job has sent, in this run and in earlier ones
	total int
	done  int
}

// all settles what earlier runs left open, then sends the entries, batch by batch.
func (w *replaying) all(ctx context.Context, left []PlanEntry) error {
	if err := w.settleIntents(ctx); err != nil {
		return err
	}
	w.total += len(left)
	size := w.Batch
	if size <= 0 || size > maxBatch {
		size = maxBatch
	}
	if w.Rate > 0 {
		size = max(1, min(size, int(w.Rate)))
	}
	for len(left) > 0 {
		if err := w.wait(ctx, min(size, len(left))); err != nil || w.sum.Stopped {
			return err
		}
		took, err := w.one(ctx, left[:min(size, len(left))])
		if err != nil {
			return err
		}
		left, w.done = left[took:], w.done+took
		if w.Progress != nil {
			w.Progress(w.done, w.total)
		}
	}
	return nil
}

// wait keeps the pace before n letters, and sees whether the operator wants to stop.
func (w *replaying) wait(ctx context.Context, n int) error {
	pause := time.Duration(0)
	if w.Rate > 0 && w.batch > 0 {
		pause = time.Duration(float64(n) / w.Rate * float64(time.Second))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-w.Stop:
		w.sum.Stopped = true
		return nil
	case <-ctx.Done():
		return fmt.Errorf("keep the rate: %w", context.Cause(ctx))
	case <-timer.C:
	}
	select {
	case <-w.Stop:
		w.sum.Stopped = true
	default:
	}
	return nil
}

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
	failpoint.Hit("replay-intended")
	acks, err := w.produce(ctx, letters, messages, intent)
	failpoint.Hit("replay-sent")
	if err := errors.Join(err, w.enter(ctx, letters, acks)); err != nil {
		return 0, err
	}
	failpoint.Hit("replay-entered")
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
	bytes := 0
	for i, e := range entries {
		l, ok := found[ids[i]]
		at, bad := parseTarget(e.Target)
		switch said, decided := w.Ledger.Decides(l); {
		case !ok || bad != nil || l.Lost || digest(l.Key, l.Value) != e.SHA256:
			w.sum.Changed = append(w.sum.Changed, ids[i])
		case decided && said.Job == w.Plan.ID && said.State == DecisionReplayed && !w.Again:
			w.sum.Replayed++
			w.sent = append(w.sent, goneOf(ids[i], l))
		case !w.Again && w.past(l, said, decided):
			w.sum.Handled++
		case len(letters) > 0 && bytes+len(l.Value)+len(l.Key) > maxBatchBytes:
			return letters, i, nil
		default:
			bytes += len(l.Value) + len(l.Key)
			letters = append(letters, planned{id: ids[i], letter: l, entry: e, at: at})
		}
	}
	return letters, len(entries), nil
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
	failpoint.Hit("replay-intend")
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
		intent.Letters = append(intent.Letters, p.entry.ID)
		intent.Ends[place(p.at)] = bounds[p.at.Topic][p.at.Partition].End
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
		outcomes, err := send(ctx, w.Producer, left)
		if err != nil {
			return acks, err
		}
		failpoint.Hit("replay-sending")
		for i, o := range outcomes {
			if o.err == nil {
				acks[ids[i]] = o.at
			} else if last = o.err; denied(o.err) {
				return acks, fmt.Errorf("replay letter %s: %w", ids[i], o.err)
			}
		}
		if len(acks) == len(letters) {
			return acks, nil
		}
		found, err := w.find(ctx, intent, w.Plan.ID)
		if err != nil {
			return acks, errors.Join(last, err)
		}
		maps.Copy(acks, found)
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
