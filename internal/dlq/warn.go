package dlq

import (
	"context"
	"fmt"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// Warning is what speaks against a replay, or what is not known about it.
type Warning string

// The warnings. All but NoStore make a plan skip the letter.
const (
	Handled       Warning = "handled"        // the row, or else the ledger, says that the letter is past
	IsLost        Warning = "lost"           // a pointer whose source record is gone
	OriginUnknown Warning = "origin-unknown" // nothing says where it belongs
	TargetMissing Warning = "target-missing" // no such topic or partition
	Done          Warning = "done"           // its message id took effect with another content
	Superseded    Warning = "superseded"     // a later message of the order took effect
	HeadMissing   Warning = "head-missing"   // it is blocked by a dead one that is not in the plan
	Loop          Warning = "loop"           // it was replayed too often
	StillInvalid  Warning = "still-invalid"  // the worker would refuse it again
	OriginDenied  Warning = "origin-denied"  // its target is not in dlq.allow_origins
	NoStore       Warning = "no-store"       // done and superseded are not known
)

// final are the skips that nothing lifts.
func (w Warning) final() bool { return w == IsLost || w == OriginUnknown || w == TargetMissing }

// Liftable are the warnings that --include takes. Handled is lifted by --again.
func Liftable() []Warning {
	return []Warning{Done, Superseded, HeadMissing, Loop, StillInvalid, OriginDenied}
}

// warner judges the letters of one plan.
type warner struct {
	*Planner
	topics  map[string]Topic
	rows    map[queue.RowKey]queue.Row
	done    map[string]string      // message id: the fingerprint that took effect
	orders  map[string][]queue.Row // unfinished and finished messages of an order
	planned map[queue.RowKey]bool  // the letters of the plan
}

const rowPage = 500

// prepare asks the database about all letters at once.
func (w *warner) prepare(ctx context.Context, letters []slim) error {
	w.rows, w.done, w.orders = map[queue.RowKey]queue.Row{}, map[string]string{}, map[string][]queue.Row{}
	w.planned = map[queue.RowKey]bool{}
	for _, l := range letters {
		w.planned[l.rowKey()] = true
	}
	if w.Store == nil || !w.Own {
		return nil
	}
	var ids []string
	for _, l := range letters {
		ids = append(ids, l.Trail.MsgID)
	}
	slices.Sort(ids)
	for page := range slices.Chunk(slices.Compact(ids), rowPage) {
		rows, err := w.Store.Messages(ctx, w.Reader.group, page)
		if err != nil {
			return fmt.Errorf("read message rows of %s: %w", w.Reader.group, err)
		}
		for _, r := range rows {
			w.rows[r.RowKey] = r
			if r.State == queue.StateDone {
				w.done[r.MsgID] = r.Fingerprint
			}
		}
	}
	return nil
}

// ofOrder returns the rows of an order; each order is asked for once.
func (w *warner) ofOrder(ctx context.Context, id string) ([]queue.Row, error) {
	if rows, ok := w.orders[id]; ok || id == "" {
		return rows, nil
	}
	view, err := w.Store.Order(ctx, w.Reader.group, id)
	if err != nil {
		return nil, fmt.Errorf("read order %s: %w", id, err)
	}
	w.orders[id] = view.Rows
	return view.Rows, nil
}

// entry is the letter with what speaks against it.
func (w *warner) entry(ctx context.Context, l slim) (PlanEntry, error) {
	e := PlanEntry{
		ID: l.ID.String(), SHA256: l.sum, MsgID: l.Trail.MsgID, Key: utf8Text(l.OrderID()), Class: utf8Text(string(l.Trail.Class)), Code: utf8Text(l.Trail.Code),
		Replays: l.Trail.ReplayCount, Action: ActReplay, Warnings: []Warning{}, Edit: l.edit,
	}
	if o := l.Trail.Origin.Offset; o >= 0 {
		e.Seq = &o
	}
	warn := func(x Warning, holds bool) {
		if holds {
			e.Warnings = append(e.Warnings, x)
		}
	}
	target, problem := w.To.of(l.Letter, w.Names, w.topics, w.Partition)
	if problem == "" {
		e.Target = fmt.Sprintf("%s/%d", target.Topic, target.Partition)
	}
	warn(problem, problem != "")
	warn(IsLost, l.Lost)
	warn(Loop, w.MaxReplays > 0 && l.Trail.ReplayCount >= w.MaxReplays)
	warn(StillInvalid, l.unhelped || w.Own && l.wrong && l.edit == nil)
	warn(OriginDenied, problem == "" && !w.allowed(target.Topic))
	if err := w.known(ctx, l, warn); err != nil {
		return e, err
	}
	for _, x := range e.Warnings {
		if x != NoStore && !slices.Contains(w.Include, x) || x == StillInvalid && l.unhelped {
			e.Action = ActSkip
		}
	}
	return e, nil
}

// allowed reports whether replays may go to a topic: the group's own may always.
func (w *warner) allowed(topic string) bool {
	return w.To.kind == toGroup || topic == w.Names.Source || w.To.kind == toTopic && len(w.Origins) == 0 || slices.Contains(w.Origins, topic)
}

// known is what the database and the ledger say of the letter.
func (w *warner) known(ctx context.Context, l slim, warn func(Warning, bool)) error {
	entry, decided := w.Ledger.Decides(l.Letter)
	sent := decided && entry.State == DecisionReplayed
	if !w.Own || w.Store == nil {
		warn(Handled, sent)
		warn(NoStore, w.Own)
		return nil
	}
	row, found := w.rows[l.rowKey()]
	past := found && (row.State == queue.StateDone || row.Hop > l.Trail.Hop)
	warn(Handled, past || sent)
	if past {
		return nil
	}
	print, done := w.done[l.Trail.MsgID]
	warn(Done, done && print != l.Trail.Fingerprint)
	rows, err := w.ofOrder(ctx, l.orderOf(row))
	if err != nil {
		return err
	}
	seq, newer, head := l.Trail.Origin, false, false
	for _, r := range rows {
		if r.Src.Topic != seq.Topic || r.Src.Partition != seq.Partition {
			continue
		}
		newer = newer || r.State == queue.StateDone && r.Outcome == queue.Applied && r.Src.Offset > seq.Offset
		head = head || r.State == queue.StateDead && r.Src.Offset < seq.Offset && !w.planned[r.RowKey]
	}
	warn(Superseded, newer)
	warn(HeadMissing, head && l.Trail.Class == queue.ClassBlocked)
	return nil
}

// orderOf is the order of the letter, as its row knows it, else as the letter does.
func (l slim) orderOf(row queue.Row) string {
	if row.OrderID != "" {
		return row.OrderID
	}
	return l.OrderID()
}
