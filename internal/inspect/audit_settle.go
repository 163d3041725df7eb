package inspect

import (
	"context"
	"fmt"

	"commerce.internal/orderctl/internal/queue"
)

// mostRounds bounds how often what looks wrong is looked at again: a system that always shows something new must not keep
// an audit for ever.
const mostRounds = 4

// settle looks again at what looked wrong, after a while and with fresh commits and rows. What still looks wrong is.
func (a *auditor) settle(ctx context.Context, stretches []stretch) error {
	for round := 0; len(a.doubts) > 0 || a.ids.open(); round++ {
		if round == mostRounds {
			a.r.Unresolved += int64(len(a.doubts))
			return nil
		}
		a.tell()
		if err := wait(ctx, a.o.Settle); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		if err := a.observe(ctx); err != nil {
			return err
		}
		doubts := a.doubts
		a.doubts = nil
		if err := a.again(ctx, doubts); err != nil {
			return err
		}
		if err := a.tail(ctx, stretches); err != nil {
			return err
		}
	}
	return nil
}

// again decides about doubts with the rows as they are now.
func (a *auditor) again(ctx context.Context, doubts []doubt) error {
	var letters []doubt
	for len(doubts) > 0 {
		part := doubts[:min(len(doubts), idsPage)]
		doubts = doubts[len(part):]
		rows, err := a.byIDs(ctx, idsOf(part))
		if err != nil {
			return err
		}
		for _, d := range part {
			row, found := rows[d.key]
			if d.kind == Missing {
				a.missingAgain(d, row, found)
			} else if still, ok := a.deadAgain(d, row, found); ok {
				letters = append(letters, still)
			}
		}
	}
	return a.lettersAgain(ctx, letters)
}

// missingAgain decides about a record that had no row.
func (a *auditor) missingAgain(d doubt, row queue.Row, found bool) {
	commit, known := commitOf(a.snap, a.o.Names.Group, a.o.Names.Source, d.partition)
	switch {
	case found && row.Src == d.position(a.o.Names.Source):
		a.rows++
		a.r.count(row, 1)
		if row.State == queue.StateDead {
			a.doubt(letterOf(row, true))
		}
	case found:
		a.rows++
		a.r.Duplicates++
	case !known:
		a.r.Unresolved++
	case d.offset >= commit: // the group was set back: it will come again
		a.r.Waiting++
	default:
		a.lose(d)
	}
}

// lose names a message that is in no row. A second record of it is its duplicate, as it would be of any other.
func (a *auditor) lose(d doubt) {
	if a.named[d.key] {
		a.r.Duplicates++
		return
	}
	a.named[d.key] = true
	d.kind = Missing
	a.r.except(d)
}

// deadAgain follows a dead message to where its row is now. ok is false where it is not dead any more, or not in any row.
func (a *auditor) deadAgain(d doubt, row queue.Row, found bool) (still doubt, ok bool) {
	if found && row.State == queue.StateDead {
		still = letterOf(row, d.counted)
		return still, true
	}
	if !d.counted {
		return d, false // it was never in the balance
	}
	a.r.Undecided--
	if found {
		a.r.count(row, 1)
		return d, false
	}
	a.lose(d)
	return d, false
}

// lettersAgain decides about dead messages without a letter: at the place where the row has it by now, by origin, and then
// whether the hop was cut short and its record will come again.
func (a *auditor) lettersAgain(ctx context.Context, list []doubt) error {
	missing, err := a.withoutLetter(ctx, list)
	if err != nil {
		return err
	}
	missing, unread, err := a.byOrigin(ctx, missing)
	if err != nil {
		return err
	}
	a.r.Unresolved += int64(len(unread))
	missing, err = a.onTheirWay(ctx, missing)
	if err != nil {
		return err
	}
	for _, d := range missing {
		a.r.except(d)
	}
	return nil
}

// onTheirWay takes out the messages whose hop to the dead letters was cut short: their row says dead, and the record that
// will hop again lies unread in front of the group, with the hop number before. They are in work.
func (a *auditor) onTheirWay(ctx context.Context, list []doubt) ([]doubt, error) {
	var placed, hopping []doubt
	for _, d := range list {
		if d.at.Offset >= 0 {
			placed = append(placed, d) // the letter was written, and is gone
		} else {
			hopping = append(hopping, d)
		}
	}
	for partition, mine := range byPartition(hopping) {
		all := len(mine)
		unknown := false
		for _, topic := range a.o.Names.Consumed() {
			left, err := a.scanFor(ctx, topic, partition, true, mine)
			if ctx.Err() != nil {
				return nil, fmt.Errorf("read %s/%d: %w", topic, partition, context.Cause(ctx))
			}
			mine, unknown = left, unknown || err != nil
		}
		a.r.Undecided -= int64(all - len(mine))
		a.r.Waiting += int64(all - len(mine))
		if unknown {
			a.r.Unresolved += int64(len(mine))
			continue
		}
		placed = append(placed, mine...)
	}
	return placed, nil
}
