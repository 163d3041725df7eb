package ops

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

const (
	maxBody   = 1 << 10
	maxRevert = 24 * time.Hour
)

// levels changes the log level while the process runs. A change with a duration reverts itself, so that nobody leaves a
// busy server at debug.
type levels struct {
	v   *slog.LevelVar
	log *slog.Logger

	mu     sync.Mutex
	base   slog.Level // what a running change reverts to
	revert *time.Timer
	until  time.Time
}

type levelBody struct {
	Level string `json:"level"`
	For   string `json:"for,omitempty"`
	Until string `json:"until,omitempty"`
}

func (l *levels) get(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	writeJSON(w, http.StatusOK, l.body())
}

func (l *levels) body() levelBody {
	b := levelBody{Level: strings.ToLower(l.v.Level().String())}
	if l.revert != nil {
		b.Until = l.until.UTC().Format(time.RFC3339)
	}
	return b
}

func (l *levels) put(w http.ResponseWriter, r *http.Request) {
	var asked levelBody
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, `want {"level":"debug","for":"10m"}`)
		return
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(asked.Level)); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "level is one of debug, info, warn, error")
		return
	}
	var lasts time.Duration
	if asked.For != "" {
		var err error
		if lasts, err = time.ParseDuration(asked.For); err != nil || lasts <= 0 || lasts > maxRevert {
			refuse(w, http.StatusUnprocessableEntity, "for is a duration with a unit, above 0 and at most 24h")
			return
		}
	}
	body := l.set(level, lasts)
	l.log.InfoContext(r.Context(), "log level changed", slog.String(obs.KeyLevel, body.Level))
	writeJSON(w, http.StatusOK, body)
}

// set changes the level, for ever where lasts is 0.
func (l *levels) set(level slog.Level, lasts time.Duration) levelBody {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revert == nil {
		l.base = l.v.Level()
	} else {
		l.revert.Stop()
		l.revert = nil
	}
	l.v.Set(level)
	if lasts > 0 {
		l.until = time.Now().Add(lasts)
		var mine *time.Timer
		mine = time.AfterFunc(lasts, func() { l.back(&mine) })
		l.revert = mine
	}
	return l.body()
}

// back reverts a change, unless another came after it. The timer is read under the lock that set holds until it is known.
func (l *levels) back(timer **time.Timer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revert != *timer {
		return
	}
	l.revert = nil
	l.v.Set(l.base)
	l.log.Info("log level reverted", slog.String(obs.KeyLevel, strings.ToLower(l.base.String())))
}

// stop forgets a revert that is due later: the process ends.
func (l *levels) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revert != nil {
		l.revert.Stop()
		l.revert = nil
	}
}
