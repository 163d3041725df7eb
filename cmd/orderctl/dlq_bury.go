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
	"commerce.internal/orderctl/internal/queue"
)

func newDLQBuryCmd(a *app) *cobra.Command {
	var f deskFlags
	var yes *bool
	cmd := &cobra.Command{
		Use: "bury TOPIC/PARTITION@OFFSET", Short: "Takes one record that a worker cannot get past into the dead letters.", Args: takes(1, 1, "a record, such as orders/3@17"),
		Long: `Takes one record that a worker cannot get past into the dead letters.

It is the way past a record that halts its partition or kills its worker: the message becomes dead, class operator, and its letter can be looked at, repaired and replayed like any other. The worker finds that at its next attempt, at the latest after its next start, and goes on. It is refused while an earlier message of the same order is unfinished.`,
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
			if f.reason == "" {
				return badUsage(cmd, "", "--reason is missing: whoever looks later wants to know why")
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
	exits(cmd, exitOK, "buried", exitFailed, "refused: it is finished, an old copy, or behind an unfinished one", exitUsage, "", exitUnreachable, "Kafka or the database is unreachable", exitDenied, "",
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
		return err
	}
	id := dlq.ID{Partition: letter.Partition, Offset: letter.Offset}
	s.line(fmt.Sprintf("%s is dead letter %s", at, id))
	s.note("next: orderctl dlq show %s", id)
	return nil
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
