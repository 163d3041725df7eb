package obs

import (
	"context"
	"log/slog"
	"strings"

	"commerce.internal/orderctl/internal/text"
)

// jsonHandler writes one flat object a line. Groups become prefixes of keys instead of objects, so that what it adds
// itself (the time in milliseconds, the trace id) never ends up inside one.
type jsonHandler struct {
	inner  slog.Handler
	prefix string
}

// Enabled implements slog.Handler.
func (h *jsonHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.inner.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *jsonHandler) Handle(ctx context.Context, r slog.Record) error {
	var room [24]slog.Attr // one copy into the new record, however many attributes there are
	attrs := append(room[:0], slog.Int64(KeyTimestamp, r.Time.UnixMilli()))
	traced := false
	r.Attrs(func(a slog.Attr) bool {
		traced = traced || a.Key == KeyTraceID
		if h.prefix != "" || a.Value.Kind() == slog.KindGroup {
			attrs = flatten(attrs, h.prefix, a)
		} else {
			attrs = append(attrs, a)
		}
		return true
	})
	if !traced {
		if id := TraceID(ctx); id != "" {
			attrs = append(attrs, slog.String(KeyTraceID, id))
		}
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	out.AddAttrs(attrs...)
	return h.inner.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h *jsonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var flat []slog.Attr
	for _, a := range attrs {
		flat = flatten(flat, h.prefix, a)
	}
	return &jsonHandler{inner: h.inner.WithAttrs(flat), prefix: h.prefix}
}

// WithGroup implements slog.Handler.
func (h *jsonHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &jsonHandler{inner: h.inner, prefix: h.prefix + name + "_"}
}

// flatten appends a, or the members of the group a, with their keys prefixed.
func flatten(out []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		return append(out, slog.Attr{Key: prefix + a.Key, Value: v})
	}
	if a.Key != "" {
		prefix += a.Key + "_"
	}
	for _, m := range v.Group() {
		out = flatten(out, prefix, m)
	}
	return out
}

// maxText is how much of a foreign text a line shows.
const maxText = 1 << 10

// tidy gives slog's message its name in our lines, and escapes text: encoding/json leaves C1 controls and bidirectional
// overrides as they are, and somebody will look at the lines on a terminal.
func tidy(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.MessageKey && len(groups) == 0 {
		a.Key = KeyMessage
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(bounded(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(bounded(err.Error()))
		}
	}
	return a
}

func bounded(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return text.Safe(s)
}
