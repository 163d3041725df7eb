package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// letters adds n dead letters of one order each, over three partitions.
func (b *bench) letters(n int) {
	for i := range n {
		b.kill(int32(i%3), int64(i), fmt.Sprintf("A-%d", i), fmt.Sprintf("A-%d:CREATED", i), queue.ClassExhausted)
	}
}

// A process that dies between any two writes, or after a write whose answer it did not get, is run again until it comes to
// its end: each letter takes effect once, in order; another topic holds each once; one more run sends nothing.
func TestADeathAtAnyWriteSendsEachLetterOnce(t *testing.T) {
	t.Parallel()
	const letters = 7
	for _, to := range []string{"group", "origin", "topic=other"} {
		for _, batch := range []int{1, 3, 100} {
			for _, lost := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s in batches of %d, last write lost: %v", to, batch, lost), func(t *testing.T) {
					t.Parallel()
					for death := 0; ; death++ {
						if done := dieAt(t, to, batch, letters, death, lost); done {
							return
						}
					}
				})
			}
		}
	}
}

// dieAt reports whether the replay came to its end before it had to die.
func dieAt(t *testing.T, to string, batch, letters, death int, lost bool) (ended bool) {
	t.Helper()
	b := newBench(t)
	b.letters(letters)
	plan := b.plan(to, dlq.Selection{States: []dlq.State{dlq.Undecided}})
	size := func(r *dlq.Replay) { r.Batch = batch }
	b.fate = func(n int, _ queue.Message) (bool, error) {
		if n == death {
			return !lost, errDied
		}
		return true, nil
	}
	_, err := b.replay(plan, size)
	ended = err == nil
	b.fate = nil
	b.later(31 * time.Second)
	if _, err := b.replay(plan, size); err != nil {
		t.Fatalf("death at write %d: second run: %v", death, err)
	}
	b.work(b.names)
	before := b.writes
	b.later(31 * time.Second)
	sum, err := b.replay(plan, size)
	if err != nil || sum.Sent != 0 {
		t.Errorf("death at write %d: third run sent %d (%v)", death, sum.Sent, err)
	}
	if b.writes-before > 2 {
		t.Errorf("death at write %d: third run wrote %d records, want the two of its job", death, b.writes-before)
	}
	switch to {
	case "group":
		if !once(b.took, letters) {
			t.Errorf("death at write %d: took effect %v", death, b.took)
		}
		for p := range 3 {
			mine := slices.DeleteFunc(slices.Clone(b.took), func(s string) bool { return !strings.HasPrefix(s, fmt.Sprintf("%d@", p)) })
			if !slices.IsSorted(mine) {
				t.Errorf("death at write %d: partition %d out of order: %v", death, p, mine)
			}
		}
	case "origin":
		if sent := b.sent("orders"); !once(sent, letters) {
			t.Errorf("death at write %d: orders holds %v", death, sent)
		}
	default:
		if sent := b.sent("other"); !once(sent, letters) {
			t.Errorf("death at write %d: other holds %v", death, sent)
		}
	}
	return ended
}

func TestWhatIsRefusedIsSentAgainThreeTimes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	refused := &queue.PublishError{Kind: queue.NotSent, Reason: "no-leader"}
	tries := 0
	b.fate = func(_ int, m queue.Message) (bool, error) {
		if m.Topic == b.names.Replay() && m.Partition == 1 {
			tries++
			return false, refused
		}
		return true, nil
	}
	sum, err := b.replay(plan)
	if !errors.Is(err, dlq.ErrUnsent) || tries != 3 || sum.Sent != 2 {
		t.Fatalf("tries %d, sent %d, %v", tries, sum.Sent, err)
	}
	b.fate = nil
	if sum, err = b.replay(plan); err != nil || sum.Sent != 1 || sum.Replayed != 3 {
		t.Errorf("run again: %+v, %v", sum, err)
	}
}

func TestAMissingRightIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(1)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	tries := 0
	b.fate = func(_ int, m queue.Message) (bool, error) {
		if m.Topic == b.names.Replay() {
			tries++
			return false, fmt.Errorf("write: %w", queue.ErrDenied)
		}
		return true, nil
	}
	if _, err := b.replay(plan); !errors.Is(err, queue.ErrDenied) || tries != 1 {
		t.Errorf("tries %d, %v", tries, err)
	}
}

func TestASecondReplayIsRefusedAndMayTakeOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(6)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	other := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	var running *dlq.RunningError
	checked := false
	_, err := b.replay(plan, func(r *dlq.Replay) {
		r.Batch = 2
		r.Progress = func(done, _ int) {
			if done != 2 || checked {
				return
			}
			checked = true
			if _, err := b.replay(other); !errors.As(err, &running) || running.Job.ID != plan.ID || running.Job.Operator != "me@here" {
				t.Errorf("beside a running one: %v", err)
			}
			if _, err := b.replay(other, func(r *dlq.Replay) { r.Takeover = true }); !errors.As(err, &running) || !running.Plan {
				t.Errorf("takeover with another plan: %v", err)
			}
			if sum, err := b.replay(plan, func(r *dlq.Replay) { r.Takeover = true }); err != nil || sum.Replayed != 6 {
				t.Errorf("takeover: %+v, %v", sum, err)
			}
		}
	})
	var taken *dlq.TakenOverError
	if !errors.As(err, &taken) || !checked {
		t.Errorf("the first ended with %v", err)
	}
	if b.work(b.names); !once(b.took, 6) || len(b.sent(b.names.Replay())) != 6 {
		t.Errorf("took effect %v, sent %v", b.took, b.sent(b.names.Replay()))
	}
}

func TestAJobThatSaysNothingIsNotRunning(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(2)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	b.fate = func(n int, _ queue.Message) (bool, error) { return true, map[bool]error{true: errDied}[n == 1] }
	_, _ = b.replay(plan)
	b.fate = nil
	another := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	b.later(29 * time.Second)
	var running *dlq.RunningError
	if _, err := b.replay(another); !errors.As(err, &running) {
		t.Errorf("after 29 s: %v", err)
	}
	b.later(2 * time.Second)
	if _, err := b.replay(another); err != nil {
		t.Errorf("after 31 s: %v", err)
	}
}

func TestWhatDriftedIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(6)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	b.letters(3) // arrives later: not in it
	b.topics[topic][0][0].Value = []byte("{}")
	discarded := dlq.Entry{State: dlq.DecisionDiscarded, Operator: "you@there", At: b.clock().Add(time.Second)}
	b.enter("1/0", discarded)
	done := queue.RowKey{MsgID: "A-2:CREATED", Fingerprint: fmt.Sprintf("%064x", 2)}
	row := b.rows[done]
	row.State = queue.StateDone
	b.rows[done] = row
	sum, err := b.replay(plan)
	if err != nil || sum.Sent != 3 || sum.Handled != 2 || len(sum.Changed) != 1 || sum.Changed[0].String() != "0/0" {
		t.Errorf("%+v, %v", sum, err)
	}
	if sent := b.sent(b.names.Replay()); slices.Contains(sent, "0/0") || slices.Contains(sent, "1/0") || slices.Contains(sent, "2/0") {
		t.Errorf("sent %v", sent)
	}
}

func TestATopicMadeAnewIsNotThePlans(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(1)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	b.ids[topic] = "another"
	if _, err := b.replay(plan); !errors.Is(err, dlq.ErrMadeAnew) || b.writes != 0 {
		t.Errorf("%v, %d writes", err, b.writes)
	}
	b.ids[topic], plan.ClusterID = plan.DLQ.TopicID, "elsewhere"
	if _, err := b.replay(plan); !errors.Is(err, dlq.ErrMadeAnew) || b.writes != 0 {
		t.Errorf("%v, %d writes", err, b.writes)
	}
}

func TestWithoutALedgerNothingIsSent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(1)
	delete(b.topics, b.names.Audit())
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	if _, err := b.replay(plan); !errors.Is(err, dlq.ErrNoLedger) || !errors.Is(err, queue.ErrNotFound) || b.writes != 0 {
		t.Errorf("%v, %d writes", err, b.writes)
	}
}

func TestStopEndsAfterTheBatchInHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(9)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	stop := make(chan struct{})
	sum, err := b.replay(plan, func(r *dlq.Replay) {
		r.Batch, r.Stop = 3, stop
		r.Progress = func(done, _ int) {
			if done == 3 {
				close(stop)
			}
		}
	})
	if err != nil || !sum.Stopped || sum.Sent != 3 {
		t.Fatalf("%+v, %v", sum, err)
	}
	r, l := b.reader()
	_ = r
	if j, ok := l.Job(plan.ID); !ok || j.State != dlq.JobInterrupted || j.Done != 3 || j.Planned != 9 {
		t.Errorf("job %+v", j)
	}
	if sum, err = b.replay(plan); err != nil || sum.Sent != 6 || sum.Replayed != 9 {
		t.Errorf("run again: %+v, %v", sum, err)
	}
}

func TestTheOutcomeIsWhatTheDatabaseSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	sum, err := b.replay(plan, func(r *dlq.Replay) {
		r.Wait = time.Nanosecond
		r.Progress = func(int, int) {
			b.work(b.names)
			again := queue.RowKey{MsgID: "A-1:CREATED", Fingerprint: fmt.Sprintf("%064x", 1)}
			row := b.rows[again]
			row.State, row.Hop, row.At = queue.StateDead, 3, queue.Position{Topic: topic, Partition: 1, Offset: 40}
			b.rows[again] = row
			work := queue.RowKey{MsgID: "A-2:CREATED", Fingerprint: fmt.Sprintf("%064x", 2)}
			row = b.rows[work]
			row.State, row.Hop = queue.StateRetry, 2
			b.rows[work] = row
		}
	})
	if err != nil || !sum.Waited || sum.Resolved != 1 || sum.InWork != 1 || len(sum.DeadAgain) != 1 || sum.DeadAgain[0].String() != "1/40" {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestWhatDiesBehindAReplayedOneComesAlongLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.kill(0, 1, "A", "A:CREATED", queue.ClassExhausted)
	plan := b.plan("group", dlq.Selection{States: []dlq.State{dlq.Undecided}})
	passes := 0
	sum, err := b.replay(plan, func(r *dlq.Replay) {
		r.Late = func(context.Context) ([]dlq.PlanEntry, error) {
			if passes++; passes > 2 {
				return nil, nil
			}
			b.kill(0, int64(1+passes), "A", fmt.Sprintf("A:%d", passes), queue.ClassBlocked)
			late := b.plan("group", dlq.Selection{Classes: []string{"blocked"}, States: []dlq.State{dlq.Undecided}})
			return late.Entries, nil
		}
	})
	if err != nil || sum.Sent != 3 || sum.Late != 2 || passes != 3 {
		t.Errorf("%d passes, %+v, %v", passes, sum, err)
	}
}
