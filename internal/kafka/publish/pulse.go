package publish

import (
	"sync/atomic"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// pulse tells whether a loop that takes outcomes moves. A record is not late because the loop is stuck, nor the loop stuck
// because a record is late: a silent broker has nothing to tell.
type pulse struct {
	held  atomic.Int64 // since when it tells one outcome, Unix ns; 0: it waits for the next
	ended atomic.Int64 // when it ended; 0: it runs
}

func (p *pulse) take() { p.held.Store(time.Now().UnixNano()) }
func (p *pulse) pass() { p.held.Store(0) }
func (p *pulse) end()  { p.ended.Store(time.Now().UnixNano()) }

// stuck is since when the loop does not move; zero: it does.
func (p *pulse) stuck(closing bool) time.Time {
	at := p.held.Load()
	if at == 0 && !closing {
		at = p.ended.Load()
	}
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// Health returns what is known without asking anybody.
func (p *Producer) Health() queue.PublisherHealth {
	h := p.health()
	for _, loop := range []*pulse{&p.successes, &p.failures} {
		if at := loop.stuck(p.isClosing()); !at.IsZero() && (h.Stuck.IsZero() || at.Before(h.Stuck)) {
			h.Stuck = at
		}
	}
	return h
}
