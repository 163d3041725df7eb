package dlq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
	w.job, err = r.open(ctx, JobEntry{ID: r.Plan.ID, Kind: KindReplay, Planned: w.sum.Planned, Skipped: len(r.Plan.Entries) - w.sum.Planned, Reason: r.Plan.Reason, PlanSHA256: r.Plan.SHA256()})
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

// Unstarted is the summary of a plan that replays nothing.
func Unstarted(p Plan) Summary {
	w := &replaying{Replay: &Replay{Plan: p}, sum: Summary{Job: p.ID}}
	w.chosen()
	return w.sum
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
