package obs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/text"
)

// textHandler writes lines for a reader at a terminal: "08:00:00.123 WARN  serve: message key=value". Whatever came from
// outside is escaped before it reaches the terminal.
type textHandler struct {
	w         io.Writer
	level     slog.Leveler
	component string
	attrs     string // already formatted, each with a space in front
	prefix    string
}

// Enabled implements slog.Handler.
func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle implements slog.Handler.
func (h *textHandler) Handle(ctx context.Context, r slog.Record) error {
	line := *h
	var attrs strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		line.add(&attrs, a)
		return true
	})
	var out strings.Builder
	fmt.Fprintf(&out, "%s %-5s ", r.Time.Format("15:04:05.000"), r.Level)
	if line.component != "" {
		out.WriteString(text.Safe(line.component) + ": ")
	}
	out.WriteString(text.Safe(r.Message) + h.attrs + attrs.String())
	if id := TraceID(ctx); id != "" && !strings.Contains(attrs.String(), " "+KeyTraceID+"=") {
		out.WriteString(" " + KeyTraceID + "=" + id)
	}
	out.WriteByte('\n')
	_, err := io.WriteString(h.w, out.String())
	return err
}

// WithAttrs implements slog.Handler.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	var b strings.Builder
	for _, a := range attrs {
		more.add(&b, a)
	}
	more.attrs += b.String()
	return &more
}

// WithGroup implements slog.Handler.
func (h *textHandler) WithGroup(name string) slog.Handler {
	more := *h
	if name != "" {
		more.prefix += name + "_"
	}
	return &more
}

func (h *textHandler) add(b *strings.Builder, a slog.Attr) {
	for _, m := range flatten(nil, h.prefix, a) {
		if m.Key == KeyComponent {
			h.component = m.Value.String()
			continue
		}
		b.WriteString(" " + text.Safe(m.Key) + "=" + quote(show(m.Value)))
	}
}

func show(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().Format(time.RFC3339Nano)
	}
	return v.String()
}

// quote makes a value one word and free of control characters.
func quote(s string) string {
	safe := text.Safe(s)
	if safe == "" || strings.ContainsAny(safe, " \"=") {
		return strconv.Quote(safe)
	}
	return safe
}
