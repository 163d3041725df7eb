package serve

import (
	"log/slog"
	"net/http"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

// auditLine is what the audit trail says about one order. It holds no body, no key and no user.
type auditLine struct {
	at        time.Time // when the request, or the publication, began
	requestID string
	client    string
	traceID   string
	orderID   string // "": refused before it was known
	messageID string
	topic     string
	partition int32
	offset    int64 // below 0: none
	bytes     int
	orders    int // above 0: refused together
}

// audit begins the line of an order of this request.
func (k *call) audit() auditLine {
	return auditLine{at: k.start, requestID: k.id, client: k.client, traceID: k.traceID, partition: -1, offset: -1}
}

// refuse writes the line of an order, or a batch, that was answered with a problem, and counts it.
func (k *call) refuse(line auditLine, p *problem) *problem {
	status, _ := p.code.kind()
	message := "order rejected"
	if p.outcome == outcomeUnknown {
		message = "order unknown"
		k.s.metrics.unknown.Inc()
	} else {
		k.s.metrics.rejected.WithLabelValues(string(p.code)).Inc()
	}
	k.s.metrics.violations(p.errors)
	k.log(message, line, status, p.code, p.outcome)
	return p
}

// accept writes the line of an accepted order.
func (k *call) accept(line auditLine) {
	k.s.metrics.accepted.Inc()
	k.log("order accepted", line, http.StatusAccepted, "", "accepted")
}

func (k *call) log(message string, line auditLine, status int, c code, result string) {
	if !k.s.o.Audit.Enabled(k.ctx(), slog.LevelInfo) {
		return
	}
	var room [16]slog.Attr
	attrs := append(line.attrs(room[:0]), slog.Int(obs.KeyHTTPStatus, status), slog.String(obs.KeyOutcome, result))
	if c != "" {
		attrs = append(attrs, slog.String(obs.KeyCode, string(c)))
	}
	k.s.o.Audit.LogAttrs(k.ctx(), slog.LevelInfo, message, attrs...) //nolint:sloglint // every caller passes a constant
}

func (l auditLine) attrs(to []slog.Attr) []slog.Attr {
	to = append(to, slog.String(obs.KeyRequestID, l.requestID), slog.String(obs.KeyClientID, l.client),
		slog.String(obs.KeyTraceID, l.traceID), slog.Int(obs.KeyBytes, l.bytes),
		slog.Float64(obs.KeyDurationMS, float64(time.Since(l.at).Microseconds())/1000))
	if l.orderID != "" {
		to = append(to, slog.String(obs.KeyOrderID, l.orderID), slog.String(obs.KeyMessageID, l.messageID))
	}
	if l.partition >= 0 {
		to = append(to, slog.String(obs.KeyTopic, l.topic), slog.Int(obs.KeyPartition, int(l.partition)))
	}
	if l.offset >= 0 {
		to = append(to, slog.Int64(obs.KeyOffset, l.offset))
	}
	if l.orders > 0 {
		to = append(to, slog.Int(obs.KeyCount, l.orders))
	}
	return to
}

// args are the attributes of a line written after the request has ended.
func (l auditLine) args(out outcome) []any {
	attrs := append(l.attrs(nil), slog.String(obs.KeyOutcome, out.kind.String()))
	if out.err != nil {
		attrs = append(attrs, slog.String(obs.KeyReason, out.reason), slog.Any(obs.KeyError, out.err))
	}
	args := make([]any, len(attrs))
	for i := range attrs {
		args[i] = attrs[i]
	}
	return args
}
