package consume

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

// emptyPause is between two looks whether there is anything left.
const emptyPause = 500 * time.Millisecond

// LettersError says that a run which was to end when all is consumed wrote dead letters: it is done, but in part only.
type LettersError struct{ Letters int64 }

// Error implements error.
func (e *LettersError) Error() string {
	if e.Letters == 1 {
		return "all is consumed; 1 message became a dead letter"
	}
	return fmt.Sprintf("all is consumed; %d messages became dead letters", e.Letters)
}

// ExitCode is that of a work partly done.
func (e *LettersError) ExitCode() int { return 6 }

// Hint says what to do next.
func (e *LettersError) Hint() string { return "orderctl dlq list shows them" }

// limit counts the records of the source that may start.
type limit struct {
	most    int // 0: no limit
	start   func(*item)
	reached func()

	mu                sync.Mutex
	started, finished int
	waiting           []*item // one too many; in the order in which they came
}

// admit starts a record, or lets it wait for one that is given back: it stays unfinished, the commit does not pass it.
func (l *limit) admit(it *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most > 0 && l.started >= l.most {
		l.waiting = append(l.waiting, it)
		return
	}
	l.started++
	it.counted = true
	l.start(it)
}

// finish counts one that is done; the last one ends the run.
func (l *limit) finish(it *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !it.counted {
		return
	}
	it.counted = false
	if l.finished++; l.most > 0 && l.finished == l.most {
		l.reached()
	}
}

// giveBack lets another one start for one that was not finished here.
func (l *limit) giveBack(it *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !it.counted {
		return
	}
	it.counted = false
	if len(l.waiting) == 0 {
		l.started--
		return
	}
	next := l.waiting[0]
	l.waiting = l.waiting[1:]
	next.counted = true
	l.start(next) // under the lock: no later record of its order gets past it
}

// drop forgets the waiting records of a claim.
func (l *limit) drop(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(it *item) bool { return it.claim == c })
}

// untilEmpty returns when nothing was left at two looks in a row.
func (w *Worker) untilEmpty(ctx context.Context) {
	empty, asked := 0, false
	for empty < 2 {
		if sleep(ctx, emptyPause, nil) != nil {
			return
		}
		done, err := w.o.Empty(ctx)
		if err != nil && !asked && ctx.Err() == nil {
			asked = true
			w.o.Log.WarnContext(ctx, "cannot tell whether all is consumed: asking again", slog.Any(obs.KeyError, err))
		}
		if err == nil && done {
			empty++
		} else {
			empty = 0
		}
	}
}
