package serve

import (
	"log/slog"
	"sync/atomic"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// A flight is awaited until it has landed or its time is up; what comes then is late.
const (
	awaited int32 = iota
	landed
	expired
)

// flight is one order between the hand-over to the publisher and the end of its publication.
type flight struct {
	s         *Server
	line      auditLine
	lease     lease
	partition int32
	began     time.Time
	ticket    func(error) // of the breaker

	result chan outcome // of a single order: has room for one
	batch  *batch       // of an order in a batch
	index  int

	state atomic.Int32
	ended atomic.Bool
}

// send passes the last gates: breaker, partition permit, enqueue. With sent false the outcome is known at once, nothing is
// written and done is never called.
func (s *Server) send(f *flight, m queue.Message) (out outcome, sent bool) {
	ticket, err := s.breakers[f.partition].allow()
	if err != nil {
		s.metrics.shed.WithLabelValues(shedBreaker).Inc()
		f.lease.release()
		return outcome{kind: notSent, offset: -1, reason: shedBreaker, err: err}, false
	}
	if !s.load.permit(f.partition) {
		ticket(errShed)
		s.metrics.shed.WithLabelValues(shedPartition).Inc()
		f.lease.release()
		return outcome{kind: notSent, offset: -1, reason: shedPartition, err: errShed}, false
	}
	f.ticket, f.began = ticket, time.Now()
	failpoint.Hit("before-enqueue")
	if err := s.o.Publisher.Publish(m, f.done); err != nil {
		f.ended.Store(true)
		f.free()
		return f.refused(err), false
	}
	return outcome{}, true
}

// refused judges a hand-over that failed. The broker saw nothing, so a rejection says nothing about it either.
func (f *flight) refused(err error) outcome {
	out := outcomeAtOnce(err)
	if out.kind == rejected {
		f.ticket(errShed)
	} else {
		f.ticket(out.verdict())
	}
	if out.reason == reasonBusy {
		f.s.metrics.shed.WithLabelValues(shedEnqueue).Inc()
	}
	return out
}

// done ends the publication. It is the only place that frees a permit after the hand-over.
func (f *flight) done(ack queue.Ack, err error) {
	if !f.ended.CompareAndSwap(false, true) {
		f.s.o.Log.Error("publication ended twice", slog.String(obs.KeyMessageID, f.line.messageID))
		return
	}
	f.free()
	out := outcomeOf(ack, err)
	f.s.metrics.published(out.kind, time.Since(f.began))
	if out.kind == accepted {
		f.s.recent.add(f.line.orderID)
	}
	if f.state.CompareAndSwap(awaited, landed) {
		f.ticket(out.verdict())
		f.land(out)
		return
	}
	f.late(out)
}

// land tells the handler that waits. It does not block.
func (f *flight) land(out outcome) {
	if f.batch != nil {
		f.batch.landed(f.index, f.partition, out)
		return
	}
	f.result <- out
}

func (f *flight) free() {
	f.s.load.partitions[f.partition].Add(-1)
	f.lease.release()
}

// expire gives up waiting: the outcome is unknown, and the breaker hears so. It reports false when the flight has landed
// meanwhile.
func (f *flight) expire() bool {
	if !f.state.CompareAndSwap(awaited, expired) {
		return false
	}
	f.ticket(errFailed)
	return true
}

// late logs the end of an order whose client was told that it is not known.
func (f *flight) late(out outcome) {
	f.line.at, f.line.offset = f.began, out.offset
	if out.kind == accepted {
		f.s.metrics.lateAcks.Inc()
		f.s.o.Audit.Info("late ack", f.line.args(out)...)
		return
	}
	f.s.o.Audit.Info("late error", f.line.args(out)...)
}
