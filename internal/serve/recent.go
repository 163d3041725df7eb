package serve

import "sync"

// recentOrders is how many accepted orders a process remembers at least.
const recentOrders = 1 << 15

// recent remembers the newest accepted order ids, so that GET can say "accepted" before the worker has taken the order. It
// keeps two generations and drops the elder when the younger is full: memory is bounded without a clock.
type recent struct {
	mu           sync.Mutex
	limit        int
	young, elder map[string]struct{}
}

func newRecent(limit int) *recent { return &recent{limit: limit, young: map[string]struct{}{}} }

func (r *recent) add(orderID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.young) >= r.limit {
		r.elder, r.young = r.young, make(map[string]struct{}, r.limit)
	}
	r.young[orderID] = struct{}{}
}

func (r *recent) has(orderID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, young := r.young[orderID]
	_, elder := r.elder[orderID]
	return young || elder
}
