package consume

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"commerce.internal/orderctl/internal/obs"
)

// attrs name a record in a log line.
func (it *item) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String(obs.KeyTopic, it.rec.Topic), slog.Int(obs.KeyPartition, int(it.rec.Partition)),
		slog.Int64(obs.KeyOffset, it.rec.Offset), slog.String(obs.KeyMessageID, it.msg.key.MsgID),
	}
	if it.msg.orderID != "" {
		attrs = append(attrs, slog.String(obs.KeyOrderID, it.msg.orderID))
	}
	if it.msg.traceID != "" {
		attrs = append(attrs, slog.String(obs.KeyTraceID, it.msg.traceID))
	}
	return attrs
}

// report writes one line for what became of a record: a letter is something to look at, a retry something to know, all
// else is what is meant to happen.
func (w *Worker) report(ctx context.Context, it *item) {
	v := it.verdict
	level := slog.LevelDebug
	switch v.outcome {
	case outcomeDead:
		level = slog.LevelWarn
	case outcomeRetried, outcomeParked:
		level = slog.LevelInfo
	}
	if !w.o.Log.Enabled(ctx, level) {
		return
	}
	attrs := append(it.attrs(), slog.String(obs.KeyOutcome, v.outcome))
	if v.hop != nil {
		attrs = append(attrs, slog.String(obs.KeyTarget, v.hop.At.Topic), slog.Int(obs.KeyHop, v.hop.Hop), slog.Int(obs.KeyAttempt, v.hop.Attempts),
			slog.String(obs.KeyClass, string(v.failure.Class)), slog.String(obs.KeyCode, v.failure.Code), slog.String(obs.KeyError, v.failure.Message))
	}
	w.o.Log.LogAttrs(ctx, level, "record finished", attrs...)
}

// print writes the line of the log handler: where the order lies, its message id, and the order.
func (w *Worker) print(it *item) error {
	b, err := json.Marshal(struct {
		Topic     string          `json:"topic"`
		Partition int32           `json:"partition"`
		Offset    int64           `json:"offset"`
		MessageID string          `json:"message_id"`
		Order     json.RawMessage `json:"order"`
	}{it.rec.Topic, it.rec.Partition, it.rec.Offset, it.msg.key.MsgID, it.msg.order.AppendJSON(nil)})
	if err != nil {
		return fmt.Errorf("encode order: %w", err)
	}
	b = append(b, '\n')
	w.out.Lock()
	defer w.out.Unlock()
	if _, err := w.o.Out.Write(b); err != nil {
		return fmt.Errorf("print order: %w", err)
	}
	return nil
}
