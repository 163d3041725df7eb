package store

import (
	"database/sql"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// rowScan reads the columns of a message row.
func rowScan(rs answer) (queue.Row, error) {
	var (
		r                                             queue.Row
		outcome, atTopic, orderID, class, code        sql.NullString
		message, blockedBy, replayID, traceID         sql.NullString
		atPartition, atOffset, due, control, from, to sql.NullInt64
		updated                                       int64
	)
	err := rs.Scan(&r.MsgID, &r.Fingerprint, &r.State, &outcome, &r.Hop, &atTopic, &atPartition, &atOffset, &orderID,
		&r.Src.Topic, &r.Src.Partition, &r.Src.Offset, &r.Attempts, &class, &code, &message, &due, &blockedBy, &replayID,
		&control, &r.Starts, &traceID, &from, &to, &updated)
	r.Outcome = queue.Outcome(outcome.String)
	r.At = queue.Position{Topic: atTopic.String, Partition: int32(atPartition.Int64), Offset: orMinusOne(atOffset)} //nolint:gosec // written from an int32
	r.OrderID, r.BlockedBy, r.ReplayID, r.TraceID = orderID.String, blockedBy.String, replayID.String, traceID.String
	r.Failure = queue.Failure{Class: queue.Class(class.String), Code: code.String, Message: message.String}
	r.DueAt, r.FirstFailure, r.LastFailure = fromMillis(due), fromMillis(from), fromMillis(to)
	r.Control = orMinusOne(control)
	r.UpdatedAt = time.UnixMilli(updated).UTC()
	return r, err
}

// rowValues hands the columns of a new message row to v, in the order of texts.insertRow.
func rowValues(v values, group string, r *queue.Row, now time.Time) {
	v.same(group)
	if r.State == queue.StateDone {
		v.text(r.MsgID) // claims the message id, as doneID does
	} else {
		v.textOrNull("")
	}
	v.text(r.MsgID)
	v.text(r.Fingerprint)
	v.text(string(r.State))
	v.textOrNull(string(r.Outcome))
	v.number(int64(r.Hop))
	v.textOrNull(r.At.Topic)
	v.numberOrNull(int64(r.At.Partition), r.At.Topic != "")
	v.numberOrNull(r.At.Offset, r.At.Topic != "" && r.At.Offset >= 0)
	v.textOrNull(r.OrderID)
	v.text(r.Src.Topic)
	v.number(int64(r.Src.Partition))
	v.number(r.Src.Offset)
	v.number(int64(r.Attempts))
	v.textOrNull(string(r.Failure.Class))
	v.textOrNull(fit(r.Failure.Code))
	v.textOrNull(fit(r.Failure.Message))
	millis(v, r.DueAt)
	v.textOrNull(r.BlockedBy)
	v.textOrNull(r.ReplayID)
	v.numberOrNull(r.Control, r.Control >= 0)
	v.number(int64(r.Starts))
	v.textOrNull(r.TraceID)
	millis(v, r.FirstFailure)
	millis(v, r.LastFailure)
	if r.UpdatedAt.IsZero() {
		millis(v, now)
	} else {
		millis(v, r.UpdatedAt)
	}
}

// insertArgs are the parameters of texts.insertRow.
func insertArgs(group string, r *queue.Row, now time.Time) []any {
	list := make(valueList, 0, 27)
	rowValues(&list, group, r, now)
	return list
}

// updateArgs are the parameters of texts.updateRow.
func updateArgs(group string, w *queue.Write, now time.Time) []any {
	r := w.Row
	topic, partition, offset := place(r.At)
	return append([]any{
		string(r.State), doneID(r), orNull(string(r.Outcome)), r.Hop, topic, partition, offset, orNull(r.OrderID),
		r.Attempts, orNull(string(r.Failure.Class)), orNull(fit(r.Failure.Code)), orNull(fit(r.Failure.Message)),
		toMillis(r.DueAt), orNull(r.BlockedBy), orNull(r.ReplayID), r.Starts, orNull(r.TraceID),
		toMillis(r.FirstFailure), toMillis(r.LastFailure), updatedAt(r, now),
	}, asReadArgs(group, w)...)
}

// controlArgs are the parameters of texts.controlRow.
func controlArgs(group string, w *queue.Write, now time.Time) []any {
	r := w.Row
	args := []any{string(r.State), orNull(string(r.Outcome)), known(r.Control), updatedAt(r, now)}
	return append(append(args, asReadArgs(group, w)...), r.Control)
}

func asReadArgs(group string, w *queue.Write) []any {
	topic, partition, offset := place(w.Was.At)
	return []any{
		group, w.Row.MsgID, w.Row.Fingerprint, string(w.Was.State), w.Was.Hop, topic, partition, offset,
	}
}

// doneID claims the message id for a content that took effect.
func doneID(r queue.Row) any {
	if r.State == queue.StateDone {
		return r.MsgID
	}
	return nil
}

func place(p queue.Position) (topic, partition, offset any) {
	if p.Topic == "" {
		return nil, nil, nil
	}
	return p.Topic, p.Partition, known(p.Offset)
}

func updatedAt(r queue.Row, now time.Time) any {
	if r.UpdatedAt.IsZero() {
		return now.UnixMilli()
	}
	return r.UpdatedAt.UnixMilli()
}

// fit makes a text for people one that every database can hold: a dead order must not fail for what is said about it.
func fit(s string) string {
	return queue.Cut(strings.ReplaceAll(s, "\x00", "\uFFFD"), queue.MaxMessageBytes)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func known(offset int64) any {
	if offset < 0 {
		return nil
	}
	return offset
}

func orMinusOne(n sql.NullInt64) int64 {
	if !n.Valid {
		return -1
	}
	return n.Int64
}

func toMillis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func fromMillis(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}
