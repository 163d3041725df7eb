package dlq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"commerce.internal/orderctl/internal/queue"
)

// ErrNoLedger says that nothing can be decided: who did what could not be written down.
var ErrNoLedger = errors.New("there is no ledger")

// ErrNarrowLedger says that a ledger has no partition for some of the letters: what is done with those could not be written down.
var ErrNarrowLedger = errors.New("the ledger has fewer partitions than the letters")

// RunningError says that a job runs in another process.
type RunningError struct {
	Job  JobEntry
	Plan bool // it does another plan than the one given: it cannot be taken over with this one
}

// Error implements error.
func (e *RunningError) Error() string {
	s := fmt.Sprintf("%s %s by %s is running, %d of %d", e.Job.Kind, e.Job.ID, e.Job.Operator, e.Job.Done, e.Job.Planned)
	if e.Plan {
		return s + ", with another plan"
	}
	return s
}

// TakenOverError says that another process goes on with this job. What this one had sent stands in the ledger.
type TakenOverError struct{ Job JobEntry }

// Error implements error.
func (e *TakenOverError) Error() string {
	return fmt.Sprintf("%s %s was taken over by %s", e.Job.Kind, e.Job.ID, e.Job.Operator)
}

// Desk is what operators' jobs share: who works, and what with.
type Desk struct {
	Reader   *Reader
	Log      Log
	Producer Producer
	Ledger   *Ledger // read, and read on while a job runs
	Operator string
	Host     string
	Version  string
	Run      string // names this process
	Now      func() time.Time
	Takeover bool
}

// job is one job in this process.
type job struct {
	*Desk
	mu    sync.Mutex // guards entry: signs of life are given beside the work
	entry JobEntry
}

// open begins a job, or goes on with it. One that runs elsewhere is an error, but for a takeover of the same plan.
func (d *Desk) open(ctx context.Context, e JobEntry) (*job, error) {
	if d.Ledger.Missing {
		return nil, fmt.Errorf("%w: topic %s: %w", ErrNoLedger, d.Ledger.Topic, queue.ErrNotFound)
	}
	if err := d.Ledger.refresh(ctx, d.Log); err != nil {
		return nil, err
	}
	if err := d.room(ctx); err != nil {
		return nil, err
	}
	for _, other := range d.Ledger.Jobs() {
		if !other.running(d.Now()) || other.Run == d.Run {
			continue
		}
		if same := other.ID == e.ID && other.PlanSHA256 == e.PlanSHA256; !same || !d.Takeover {
			return nil, &RunningError{Job: other, Plan: d.Takeover && !same}
		}
	}
	e.State, e.Operator, e.Host, e.Version, e.Run, e.Began = JobRunning, d.Operator, d.Host, d.Version, d.Run, d.Now().UTC()
	if was, ok := d.Ledger.Job(e.ID); ok {
		if was.PlanSHA256 != e.PlanSHA256 {
			return nil, fmt.Errorf("job %s was begun with another plan: make a new one", e.ID)
		}
		e.Term, e.Began, e.Intent, e.Done = was.Term+1, was.Began, was.Intent, d.Ledger.count(e.ID)
	}
	j := &job{Desk: d, entry: e}
	return j, j.note(ctx, func(*JobEntry) {})
}

// room refuses a ledger that has no partition for some of the letters.
func (d *Desk) room(ctx context.Context) error {
	letters, err := d.Log.Bounds(ctx, d.Reader.topic)
	if err != nil {
		return fmt.Errorf("find ends of %s: %w", d.Reader.topic, err)
	}
	for p := range letters {
		if _, ok := d.Ledger.read[p]; !ok {
			return fmt.Errorf("%w: %s has %d, %s has %d", ErrNarrowLedger, d.Ledger.Topic, len(d.Ledger.read), d.Reader.topic, len(letters))
		}
	}
	return nil
}

// note changes the job's entry and writes it to the ledger.
func (j *job) note(ctx context.Context, change func(*JobEntry)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.entry)
	m, err := j.entry.record(j.Ledger.Topic, j.Now())
	if err != nil {
		return err
	}
	return write(ctx, j.Producer, []queue.Message{m})
}

// progress counts letters as done; the next entry tells it.
func (j *job) progress(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entry.Done += n
}

// grow adds letters to those that the job is to do.
func (j *job) grow(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entry.Planned += n
}

// during runs the work of the job with signs of life beside it, and writes how it ended.
func (j *job) during(ctx context.Context, work func(context.Context) (JobState, error)) error {
	lives, end := context.WithCancel(ctx)
	var beside errgroup.Group
	beside.Go(func() error { return j.alive(lives) })
	state, err := work(ctx)
	end()
	if lost := beside.Wait(); err == nil {
		err = lost
	}
	var taken *TakenOverError
	switch {
	case errors.As(err, &taken):
		return err
	case ctx.Err() != nil:
		state = JobInterrupted
	case err != nil:
		state = JobFailed
	}
	return errors.Join(err, j.close(ctx, state))
}

// alive gives a sign of life every 5 s until ctx ends.
func (j *job) alive(ctx context.Context) error {
	beat := time.NewTicker(jobBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			if err := j.note(ctx, func(*JobEntry) {}); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// mine reads the ledger on, and fails when another process has taken the job over.
func (j *job) mine(ctx context.Context) error {
	if err := j.Ledger.refresh(ctx, j.Log); err != nil {
		return err
	}
	if now, ok := j.Ledger.Job(j.entry.ID); ok && now.Run != j.Run {
		return &TakenOverError{Job: now}
	}
	return nil
}

// close writes how the job ended. A job that was taken over is the other's to close. It is the last word, so it is said
// even when ctx has ended.
func (j *job) close(ctx context.Context, state JobState) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobBeat)
	defer cancel()
	return j.note(ctx, func(e *JobEntry) {
		e.State = state
		if state == JobFinished {
			e.Intent = nil
		}
	})
}
