package obs_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/obs"
)

func TestTextValuesAreOneWord(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]slog.Attr{
		" k=plain":                    slog.String("k", "plain"),
		` k="two words"`:              slog.String("k", "two words"),
		` k=""`:                       slog.String("k", ""),
		` k="a=b"`:                    slog.String("k", "a=b"),
		` k="say \"hi\""`:             slog.String("k", `say "hi"`),
		" k=7":                        slog.Int("k", 7),
		" k=true":                     slog.Bool("k", true),
		" k=1.5":                      slog.Float64("k", 1.5),
		" k=boom":                     slog.Any("k", errors.New("boom")),
		" k=<nil>":                    slog.Any("k", nil),
		" k=2026-11-22T08:00:00.123Z": slog.Time("k", time.Date(2026, 11, 22, 8, 0, 0, 123e6, time.UTC)),
		" k_a=1 k_b_c=2":              slog.Group("k", slog.Int("a", 1), slog.Group("b", slog.Int("c", 2))),
	} {
		l, w := newLogs(t, true)
		l.Log.LogAttrs(t.Context(), slog.LevelInfo, "m", a)
		if got := strings.TrimSuffix(w.String(), "\n"); !strings.HasSuffix(got, " INFO  m"+want) {
			t.Errorf("%q, want ...%q", got, want)
		}
	}
}

// Whatever foreign text is logged: one line, valid UTF-8, and nothing that a terminal or a log reader obeys.
func TestForeignTextStaysInItsLine(t *testing.T) {
	t.Parallel()
	foreign := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(rt *rapid.T) {
		value, key := foreign.Draw(rt, "value"), foreign.Draw(rt, "key")
		for _, text := range []bool{true, false} {
			l, w := newLogs(t, text)
			log := obs.Component(l.Log, value).With(slog.String(key, value))
			log.LogAttrs(t.Context(), slog.LevelInfo, "m", slog.String("k", value), slog.Any(obs.KeyError, errors.New(value)))
			line, ok := strings.CutSuffix(w.String(), "\n")
			if !ok || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || text && unicode.IsControl(r) }) || !utf8.ValidString(line) {
				rt.Fatalf("text %v: %q", text, line)
			}
			if !text {
				decode(t, w.String())
			}
		}
	})
}

func TestLevelsOfEitherForm(t *testing.T) {
	t.Parallel()
	for _, text := range []bool{true, false} {
		l, _ := newLogs(t, text)
		for _, log := range []*slog.Logger{l.Log, l.Audit, l.Log.WithGroup("g").With(slog.Int("a", 1)), l.Log.WithGroup("")} {
			if log.Enabled(t.Context(), slog.LevelDebug) || !log.Enabled(t.Context(), slog.LevelInfo) {
				t.Errorf("text %v: the level is not kept", text)
			}
		}
	}
}
