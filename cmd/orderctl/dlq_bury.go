package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
)

func newDLQBuryCmd(a *app) *cobra.Command {
	var f deskFlags
	var yes *bool
	cmd := &cobra.Command{
		Use: "bury TOPIC/PARTITION@OFFSET", Short: "Takes one record that a worker cannot get past into the dead letters.", Args: takes(1, 1, "a record, such as orders/3@17"),
		Long: `Takes one record that a worker cannot get past into the dead letters.

It is the way past a record that halts its partition or kills its worker: the message becomes dead, class operator, and its letter can be looked at, repaired and replayed like any other. It is refused while an earlier message of the same order is unfinished.

The worker finds that when it looks at the record again, passes over it and goes on behind it: at the next attempt of one that fails and waits in place, when the database is back, at the next probe of a partition that halts for too many dead letters (consume.flood.probe, once a minute), and at its next start. A worker that hangs in the record has to be started again. A record that is on its way to a retry topic or to the dead letters cannot be buried: mend what its topic refuses.`,
		Example: `# what does orders/3 wait for?
orderctl lag --peek orders/3
# past it
orderctl dlq bury orders/3@17 --reason INC-214`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			at, err := dlq.ParsePosition(args[0])
			if err != nil {
				return badUsage(cmd, "", "%v", err)
			}
			if err := f.wantsReason(cmd); err != nil {
				return err
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			return s.bury(cmd.Context(), cmd, f, at, *yes)
		},
	}
	groupFlags(cmd)
	f.add(cmd)
	yes = addYes(cmd)
	exits(cmd, exitOK, "buried", exitFailed, "refused: it is finished, an old copy, or behind an unfinished one", exitUsage, "", exitUnreachable, "Kafka or the database is unreachable, or the letter may be missing: run it again", exitDenied, "",
		exitNotFound, "no such record", exitNeedsYes, "")
	seeAlso(cmd, "orderctl dlq show", "orderctl lag", "orderctl trace")
	return cmd
}

// bury finds, shows, asks and buries.
func (s *session) bury(ctx context.Context, cmd *cobra.Command, f deskFlags, at queue.Position, yes bool) (err error) {
	l, err := s.openLetters(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if l.store == nil {
		return exitWith(exitUnreachable, "bury changes the row of the message, and no database is at hand", "set store.dsn, or run it where the worker runs")
	}
	committed, err := s.committedAt(ctx, l, at)
	if err != nil {
		return err
	}
	b := &dlq.Bury{
		Log: l.log, Store: l.store, Names: s.names(), Unknown: s.unknown(order.KeepUnknown), Committed: committed,
		Operator: f.operator, Reason: f.reason, Now: s.env.now,
	}
	grave, err := b.Look(ctx, at)
	if err != nil {
		return err
	}
	s.note("%s: message %s, order %s, %d bytes", at, grave.Key.MsgID, orNone(grave.OrderID), len(grave.Record.Value))
	if err := s.consent(ctx, cmd, "bury "+at.String(), yes); err != nil {
		return err
	}
	d := &desk{letterRoom: l, s: s}
	producer, closeProducer, err := d.producer(ctx, s.names().DLQ())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeProducer()) }()
	b.Producer = producer
	letter, err := b.Do(ctx, grave)
	if err != nil {
		return d.decided(err, again(cmd))
	}
	id := dlq.ID{Partition: letter.Partition, Offset: letter.Offset}
	if f := out.Format(s.global.format); f == out.FormatJSON || f == out.FormatJSONL {
		return out.WriteLine(s.stdout, buryDoc{
			Schema: "orderctl.dlq.bury/v1", Record: at.String(), Letter: id.String(), MsgID: grave.Key.MsgID, OrderID: grave.OrderID,
		})
	}
	s.line(fmt.Sprintf("%s is dead letter %s", at, id))
	s.note("next: orderctl dlq show %s", id)
	return nil
}

// buryDoc is the outcome as JSON, orderctl.dlq.bury/v1.
type buryDoc struct {
	Schema  string `json:"schema"`
	Record  string `json:"record"`
	Letter  string `json:"letter"`
	MsgID   string `json:"msg_id"`
	OrderID string `json:"order_id"` // "": no order can be read from it
}

// committedAt is the offset that the group reads next in the partition of a record; -1: it has committed none.
func (s *session) committedAt(ctx context.Context, l *letterRoom, at queue.Position) (int64, error) {
	observer := observe.New(s.kafka("dlq", l.logger))
	defer observer.Close()
	group := s.cfg.Consume.Group
	found, err := ask(ctx, s, func(ctx context.Context) (lag.Snapshot, error) {
		return observer.Snapshot(ctx, lag.Query{Groups: []string{group}, Topics: []string{at.Topic}})
	})
	if err != nil {
		return 0, err
	}
	g := found.Groups[group]
	if !g.Commits.Known {
		return 0, exitWith(exitUnreachable, fmt.Sprintf("it is not known what %s has committed", group), "")
	}
	c, ok := g.Commits.V[lag.TopicPartition{Topic: at.Topic, Partition: at.Partition}]
	if !ok {
		return -1, nil
	}
	return c.Offset, nil
}
