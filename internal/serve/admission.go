package serve

import (
	"sync/atomic"
)

// load counts what is inside: orders and bytes from their admission, records of a partition from their permit, all until the
// publication has ended. That may be long after the answer.
type load struct {
	orders, bytes       atomic.Int64
	maxOrders, maxBytes int64
	partitions          []atomic.Int64
	perPartition        int64
}

func newLoad(l Limits, partitions int32) *load {
	return &load{
		maxOrders: int64(l.InFlight), maxBytes: l.InFlightBytes,
		partitions: make([]atomic.Int64, partitions), perPartition: int64(l.PerPartition),
	}
}

// take adds to a count unless that would cross the limit.
func take(n *atomic.Int64, add, limit int64) bool {
	for {
		was := n.Load()
		if was+add > limit {
			return false
		}
		if n.CompareAndSwap(was, was+add) {
			return true
		}
	}
}

// permit takes a place in a partition.
func (l *load) permit(partition int32) bool { return take(&l.partitions[partition], 1, l.perPartition) }

// lease is what one request, or later one order, has taken of the load.
type lease struct {
	load   *load
	orders int64
	bytes  int64
}

// admit takes one order and room for its bytes.
func (s *Server) admit(bytes int64) (lease, *problem) {
	got := lease{load: s.load}
	if p := s.more(&got, 1); p != nil {
		return got, p
	}
	if !take(&s.load.bytes, bytes, s.load.maxBytes) {
		got.release()
		return got, s.shed(shedBytes)
	}
	got.bytes = bytes
	return got, nil
}

// more takes n further orders.
func (s *Server) more(l *lease, n int64) *problem {
	if !take(&s.load.orders, n, s.load.maxOrders) {
		return s.shed(shedOrders)
	}
	l.orders += n
	return nil
}

// shrink gives back the bytes that were reserved and not needed.
func (l *lease) shrink(bytes int64) {
	l.load.bytes.Add(bytes - l.bytes)
	l.bytes = bytes
}

// split hands one order and its bytes over to a lease of their own.
func (l *lease) split(bytes int64) lease {
	bytes = min(bytes, l.bytes)
	l.orders--
	l.bytes -= bytes
	return lease{load: l.load, orders: 1, bytes: bytes}
}

// release gives back what is left. A second call does nothing.
func (l *lease) release() {
	l.load.orders.Add(-l.orders)
	l.load.bytes.Add(-l.bytes)
	l.orders, l.bytes = 0, 0
}

// Reasons why an order was turned away before it reached the publisher.
const (
	shedOrders    = "orders"
	shedBytes     = "bytes"
	shedPartition = "partition"
	shedEnqueue   = "enqueue"
	shedBreaker   = "breaker"
)

func (s *Server) shed(reason string) *problem {
	s.metrics.shed.WithLabelValues(reason).Inc()
	return fail(codeOverloaded, "The server has as many orders under way as it can answer in time.")
}
