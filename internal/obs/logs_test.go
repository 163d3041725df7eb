package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

// lines collects what is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
	n  int // writes
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) writes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func decode(t *testing.T, s string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(s) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, m)
	}
	return out
}

func newLogs(t *testing.T, text bool) (*obs.Logs, *lines) {
	t.Helper()
	w := &lines{}
	l := obs.NewLogs(obs.LogOptions{Writer: w, Text: text, Level: slog.LevelInfo, Service: "orderctl"})
	return l, w
}

func traced(t *testing.T) (context.Context, string) {
	t.Helper()
	const id = "0af7651916cd43dd8448eb211c80319c"
	return obs.WithTraceparent(t.Context(), "00-"+id+"-b7ad6b7169203331-01"), id
}

func TestALineHasTheAgreedMembers(t *testing.T) {
	t.Parallel()
	l, w := newLogs(t, false)
	ctx, id := traced(t)
	before := time.Now()
	obs.Component(l.Log, "serve").WarnContext(ctx, "hello", slog.String(obs.KeyOrderID, "A-1"), slog.Any(obs.KeyError, errors.New("boom")))
	m := decode(t, w.String())[0]
	for k, v := range map[string]any{
		"level": "WARN", "message": "hello", "service": "orderctl", "component": "serve", "trace_id": id, "order_id": "A-1", "error": "boom",
	} {
		if m[k] != v {
			t.Errorf("%s = %v, want %v", k, m[k], v)
		}
	}
	ms, _ := m["timestamp"].(float64)
	written, _ := m["time"].(string)
	at, err := time.Parse(time.RFC3339, written)
	if err != nil || at.UnixMilli() != int64(ms) || at.Before(before.Truncate(time.Millisecond)) || m["msg"] != nil {
		t.Errorf("%v: %v", m, err)
	}
}

// Groups never swallow what the handler adds, and a trace id that was given is not doubled.
func TestKeysStayFlat(t *testing.T) {
	t.Parallel()
	l, w := newLogs(t, false)
	ctx, id := traced(t)
	l.Log.WithGroup("http").With(slog.Int("status", 200)).InfoContext(ctx, "m", slog.Group("peer", slog.String("addr", "::1")), slog.Int("n", 1))
	l.Log.InfoContext(ctx, "m", slog.String(obs.KeyTraceID, "given"))
	m := decode(t, w.String())
	if m[0]["trace_id"] != id || m[0]["timestamp"] == nil || m[0]["http_status"] != 200.0 || m[0]["http_peer_addr"] != "::1" || m[0]["http_n"] != 1.0 {
		t.Errorf("%v", m[0])
	}
	if m[1]["trace_id"] != "given" || strings.Count(w.String(), "given") != 1 {
		t.Errorf("%v", m[1])
	}
}

func TestTextForATerminalIsSafe(t *testing.T) {
	t.Parallel()
	l, w := newLogs(t, true)
	ctx, id := traced(t)
	log := obs.Component(l.Log, "consume").With(slog.String("topic", "orders"))
	log.WithGroup("g").ErrorContext(ctx, "evil \x1b[31m", slog.String("k", "a b\n\x1b]0;x\x07"), slog.Any(obs.KeyError, errors.New("\u202e")), slog.Duration("d", time.Second))
	log.DebugContext(ctx, "not at this level")
	got := w.String()
	if strings.ContainsAny(got[:len(got)-1], "\x1b\x07\u202e\n") {
		t.Errorf("a control character reached the terminal: %q", got)
	}
	for _, want := range []string{"ERROR consume: evil ", " topic=orders", " g_k=\"a b", " g_d=1s", " trace_id=" + id} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if strings.Contains(got, "component=") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

func TestTheLevelChangesWhileRunning(t *testing.T) {
	t.Parallel()
	for _, text := range []bool{false, true} {
		l, w := newLogs(t, text)
		log := l.Log.With(slog.Int("a", 1))
		log.Debug("before")
		l.Level.Set(slog.LevelDebug)
		log.Debug("during")
		l.Level.Set(slog.LevelError)
		log.Warn("after")
		if got := w.String(); strings.Contains(got, "before") || !strings.Contains(got, "during") || strings.Contains(got, "after") {
			t.Errorf("%s", got)
		}
	}
}

func TestRepeatsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, w := newLogs(t, false)
		log := obs.Component(l.Log, "x")
		for i := range 25 {
			log.WarnContext(t.Context(), "same", slog.Int("i", i))
		}
		log.InfoContext(t.Context(), "other")
		log.ErrorContext(t.Context(), "same") // another level is another line
		if n := len(decode(t, w.String())); n != 12 {
			t.Fatalf("%d lines, want 10 and 2", n)
		}
		<-time.After(time.Second)
		synctest.Wait()
		m := decode(t, w.String())
		if last := m[len(m)-1]; len(m) != 13 || last["repeated"] != 15.0 || last["message"] != "same" || last["component"] != "x" || last["level"] != "WARN" {
			t.Errorf("%v", m[len(m)-1])
		}
		log.WarnContext(t.Context(), "same")
		if n := len(decode(t, w.String())); n != 14 {
			t.Error("a new second begins with a line")
		}
		for range 20 {
			log.WarnContext(t.Context(), "same")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		m = decode(t, w.String())
		if last := m[len(m)-1]; last["repeated"] != 11.0 {
			t.Errorf("Close keeps the count to itself: %v", last)
		}
	})
}

func TestManyDifferentLinesDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	l, w := newLogs(t, false)
	for i := range 3000 {
		l.Log.Log(t.Context(), slog.LevelInfo, fmt.Sprint("line ", i)) //nolint:sloglint // as many messages as lines
	}
	if n := len(decode(t, w.String())); n != 3000 {
		t.Errorf("%d lines, want all", n)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheAuditTrailIsNeverSampled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, w := newLogs(t, false)
		for i := range 100 {
			l.Audit.InfoContext(t.Context(), "order accepted", slog.Int("i", i))
		}
		if w.writes() != 0 {
			t.Fatal("written one by one")
		}
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if n := len(decode(t, w.String())); n != 100 || w.writes() != 1 {
			t.Errorf("%d lines in %d writes after 100 ms, want 100 in one", n, w.writes())
		}
		l.Audit.InfoContext(t.Context(), "last")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		l.Audit.InfoContext(t.Context(), "after the end")
		if n := len(decode(t, w.String())); n != 102 {
			t.Errorf("%d lines at the end, want 102", n)
		}
	})
}

func TestForeignTextIsEscapedInJSONLinesToo(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	l := obs.NewLogs(obs.LogOptions{Writer: &b, Level: slog.LevelInfo, Service: "s"})
	l.Log.With(slog.String("client", "\u202ea")).Info("m", slog.String("order_id", "\x1b[2J\u009b"), slog.Any("error", errors.New("\x1b]0;x\x07"+strings.Repeat("y", 5000))))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u009b\u202e\x07") || len(b.String()) > 2000 {
		t.Errorf("a line holds a raw control or has no end: %q", b.String())
	}
	if !strings.Contains(b.String(), `\\x1b[2J\\u009b`) {
		t.Errorf("the text does not show: %q", b.String())
	}
}
