package main

import (
	"context"
	"fmt"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// against is what the database and a plan would say of a letter that is shown.
type against struct {
	order    string   // its order, as it is now; "": not known
	warnings []string // beside those that the letter itself tells
}

func (s *session) against(ctx context.Context, room *letterRoom, d dlq.Detail) (a against, err error) {
	if room.store == nil || room.foreign {
		return a, nil
	}
	if id := d.Letter.OrderID(); id != "" {
		view, err := room.store.Order(ctx, s.cfg.Consume.Group, id)
		if err != nil {
			return a, fmt.Errorf("read order %s: %w", id, err)
		}
		if view.Found {
			a.order = fmt.Sprintf("%s, applied %s", view.Status, stamp(view.AppliedAt))
		}
	}
	ledger, err := room.reader.Ledger(ctx)
	if err != nil {
		return a, err
	}
	p := &dlq.Planner{
		Reader: room.reader, Ledger: ledger, Store: room.store, Cluster: &desk{letterRoom: room, ledger: ledger, s: s}, Partition: room.partition,
		Names: s.names(), Own: true, Now: s.env.now, Check: dlq.Checker(s.unknown(order.KeepUnknown), s.cfg.Order.Currency, s.env.now),
	}
	plan, err := p.Plan(ctx, dlq.Selection{IDs: []dlq.ID{d.Letter.ID}})
	if err != nil {
		return a, err
	}
	for _, e := range plan.Entries {
		for _, w := range e.Warnings {
			if said := meaningOfWarning(w); said != "" {
				a.warnings = append(a.warnings, string(w)+": "+said)
			}
		}
	}
	return a, nil
}

// meaningOfWarning says what a warning means that only a plan knows; the letter itself tells the others.
func meaningOfWarning(w dlq.Warning) string {
	switch w {
	case dlq.Done:
		return "another content of its message id took effect"
	case dlq.Superseded:
		return "a later message of the order took effect: a replay would mostly change nothing"
	case dlq.StillInvalid:
		return "the worker would refuse it again; --set, --transform or --edit of a replay repair it"
	case dlq.TargetMissing:
		return "its replay topic, or the partition there, does not exist"
	}
	return ""
}

// warningsOf are what speaks against a replay, as a plan would say it. A plan knows more: it looks at the targets and at the
// order as well.
func warningsOf(d dlq.Detail, maxReplays int) []string {
	var w []string
	l := d.Letter
	if l.Lost {
		w = append(w, "lost: the source record is gone or another one")
	}
	if _, known := l.Seq(); !known {
		w = append(w, "origin-unknown: a replay needs --to topic=X")
	}
	if l.State != dlq.Undecided && l.State != dlq.Lost && l.State != dlq.Discarded {
		w = append(w, "handled: the letter is past")
	}
	if maxReplays > 0 && l.Trail.ReplayCount >= maxReplays {
		w = append(w, fmt.Sprintf("loop: replayed %d times already", l.Trail.ReplayCount))
	}
	if l.Trail.Class == queue.ClassBlocked {
		for _, o := range d.Related {
			mine, a := l.Seq()
			theirs, b := o.Seq()
			if a && b && theirs < mine && o.State == dlq.Undecided {
				w = append(w, "head-missing: "+o.ID.String()+" of this order is in front of it")
				break
			}
		}
	}
	if !d.Store && l.Dialect == dlq.DialectOwn {
		w = append(w, "no-store: whether its message is done, or the order went on, is not known")
	}
	return w
}
