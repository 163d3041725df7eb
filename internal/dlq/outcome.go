package dlq

import (
	"context"
	"fmt"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// outcomePoll is how often the database is asked what became of replayed letters.
const outcomePoll = 500 * time.Millisecond

// Outcome is what the database says became of replayed letters.
type Outcome struct {
	Resolved  int
	DeadAgain []ID // the new letters
	InWork    int
}

// gone is a letter that was sent: how its message is found again.
type gone struct {
	id  ID
	key queue.RowKey
	hop int // of the replay
}

func goneOf(id ID, l Letter) gone { return gone{id: id, key: l.rowKey(), hop: l.Trail.Hop + 1} }

// after is what follows the last batch: the letters that came late, and the wait for the outcome.
func (w *replaying) after(ctx context.Context) error {
	deadline := w.Now().Add(w.Wait)
	for pass := 0; !w.sum.Stopped; pass++ {
		if err := w.settle(ctx, deadline); err != nil {
			return err
		}
		if w.Late == nil || pass == latePasses || w.sum.Stopped {
			return nil
		}
		late, err := w.Late(ctx)
		if err != nil || len(late) == 0 {
			return err
		}
		w.job.grow(len(late))
		before := w.sum.Sent
		if err := w.all(ctx, late); err != nil {
			return err
		}
		w.sum.Late += w.sum.Sent - before
		if w.sum.Sent == before {
			return nil // nothing of them is left to do
		}
	}
	return nil
}

// settle waits until every letter that was sent has come to its end, or the time is over.
func (w *replaying) settle(ctx context.Context, deadline time.Time) error {
	if w.Wait <= 0 || w.Rows == nil || len(w.sent) == 0 {
		return nil
	}
	w.sum.Waited = true
	poll := time.NewTicker(outcomePoll)
	defer poll.Stop()
	for {
		var err error
		if w.sum.Outcome, err = w.outcome(ctx); err != nil {
			return err
		}
		if w.sum.InWork == 0 || !w.Now().Before(deadline) {
			return nil
		}
		select {
		case <-poll.C:
		case <-w.Stop:
			w.sum.Stopped = true
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for the outcome: %w", context.Cause(ctx))
		}
	}
}

// outcome asks the database about all that was sent.
func (w *replaying) outcome(ctx context.Context) (Outcome, error) {
	var o Outcome
	for page := range slices.Chunk(w.sent, rowPage) {
		keys := make([]queue.RowKey, len(page))
		for i, g := range page {
			keys[i] = g.key
		}
		rows, err := w.Rows.Rows(ctx, w.Plan.Group, keys)
		if err != nil {
			return o, fmt.Errorf("read message rows of %s: %w", w.Plan.Group, err)
		}
		for _, g := range page {
			switch row := rows[g.key]; {
			case row.State == queue.StateDone, row.State == queue.StateDiscarded && row.Hop >= g.hop:
				o.Resolved++
			case row.State == queue.StateDead && row.Hop > g.hop && row.At.Offset >= 0:
				o.DeadAgain = append(o.DeadAgain, ID{Partition: row.At.Partition, Offset: row.At.Offset})
			default:
				o.InWork++
			}
		}
	}
	return o, nil
}
