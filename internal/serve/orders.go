package serve

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

// postOrder takes one order: 202 once it is on all in-sync replicas. The gates stand in their order; trace, id and recovery
// are in handle, breaker, partition permit and enqueue in send.
func (s *Server) postOrder(k *call) *problem {
	line := k.audit()
	if p := k.stopping(); p != nil {
		return k.refuse(line, p)
	}
	in, p := k.form(s.o.Limits.Body, queue.ContentJSON, queue.ContentProtobuf)
	if p != nil {
		return k.refuse(line, p)
	}
	room, p := s.admit(in.reserve())
	if p != nil {
		return k.refuse(line, p)
	}
	defer room.release()
	body, p := k.read(in)
	if p != nil {
		return k.refuse(line, p)
	}
	room.shrink(int64(len(body)))
	s.metrics.bodySize.Observe(float64(len(body)))
	line.bytes = len(body)
	o, err := order.Parse(in.content, body, s.o.Unknown)
	if err != nil {
		return k.refuse(line, notAnOrder(err, in))
	}
	return k.publish(o, in, body, &room)
}

// postTestOrder publishes a sample order on the same path.
func (s *Server) postTestOrder(k *call) *problem {
	if p := k.stopping(); p != nil {
		return k.refuse(k.audit(), p)
	}
	k.client = testClient
	o := order.Sample(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), newID(), k.start)
	body := o.AppendJSON(nil)
	room, p := s.admit(int64(len(body)))
	if p != nil {
		return k.refuse(k.audit(), p)
	}
	defer room.release()
	return k.publish(o, form{content: queue.ContentJSON}, body, &room)
}

// publish completes, judges and sends an order, and answers with what became of it.
func (k *call) publish(o order.Order, in form, body []byte, room *lease) *problem {
	line := k.audit()
	line.bytes = len(body)
	now := time.Now().UTC().Truncate(time.Millisecond)
	p, err := k.fill(o, in, body, -1, now)
	if err != nil {
		return k.refuse(line, notAnOrder(err, in))
	}
	failpoint.Hit("validated")
	line = k.s.lineOf(line, &p)
	out := k.sendAndWait(&p, k.message(&p, now, in.loadTest, make([]queue.Header, 0, headerCount)), line, room)
	if out.kind != accepted {
		return k.refuse(line, out.problem())
	}
	failpoint.Hit("acked")
	line.offset = out.offset
	k.accept(line)
	k.accepted(&p, out.offset, now)
	return nil
}

// sendAndWait waits for the outcome, but not longer than the publish timeout, or the drain. That the client has gone changes
// nothing.
func (k *call) sendAndWait(p *parcel, m queue.Message, line auditLine, room *lease) outcome {
	result := make(chan outcome, 1)
	f := &flight{s: k.s, line: line, partition: p.partition, lease: room.split(room.bytes), result: result}
	k.enqueued = true
	out, sent := k.s.send(f, m)
	if !sent {
		k.enqueued = false
		return out
	}
	timer := time.NewTimer(k.s.o.Timeouts.Publish)
	defer timer.Stop()
	select {
	case out = <-result:
		return out
	case <-timer.C:
	case <-k.s.cut:
	}
	if f.expire() {
		return outcome{kind: unknown, offset: -1, reason: "no-answer"}
	}
	return <-result
}

func (s *Server) lineOf(line auditLine, p *parcel) auditLine {
	line.orderID, line.messageID, line.topic, line.partition = p.order.OrderID, p.messageID, s.o.Topic, p.partition
	return line
}

// notAnOrder is the problem of a body that is not an order, or not a valid one.
func notAnOrder(err error, in form) *problem {
	var invalid *order.Invalid
	if errors.As(err, &invalid) {
		p := fail(codeValidation, "The body is well-formed, but not a valid order.")
		p.errors = invalid.Violations
		return p
	}
	c := codeMalformedJSON
	if in.content == queue.ContentProtobuf {
		c = codeMalformedProtobuf
	}
	detail := "The body is not one well-formed document."
	var malformed *order.Malformed
	if errors.As(err, &malformed) {
		detail = cut(text.Safe(malformed.Detail), 4*maxEchoRunes)
		if malformed.Offset >= 0 {
			detail += " at byte " + strconv.FormatInt(malformed.Offset, 10)
		}
	}
	return fail(c, detail)
}

// problem is the answer for an order that was not accepted.
func (o outcome) problem() *problem {
	switch {
	case o.kind == unknown:
		return fail(codeOutcomeUnknown, "The order may be in the queue. Send it again with the same order id or key: it takes effect once.")
	case o.kind == rejected:
		return fail(codeRecordRejected, "The broker refuses a record like this; it was not written.")
	case o.reason == reasonBusy || o.reason == shedPartition:
		return fail(codeOverloaded, "The partition of this order has as many orders under way as it can take.")
	default:
		return fail(codeKafkaUnavailable, "The order was not written.")
	}
}

// accepted answers 202.
func (k *call) accepted(p *parcel, offset int64, now time.Time) {
	h := k.w.Header()
	h[hdrContentType] = k.s.statics.json
	if k.s.o.Orders != nil {
		h.Set("Location", k.location(p.order.OrderID))
	}
	b := make([]byte, 0, 384)
	b = appendString(append(b, `{"order_id":`...), p.order.OrderID)
	b = appendString(append(b, `,"status":"accepted","order_status":`...), string(p.order.Status))
	b = appendString(append(b, `,"replayed":false,"kafka":{"topic":`...), k.s.o.Topic)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(p.partition), 10)
	b = appendOffset(append(b, `,"offset":`...), offset)
	b = now.AppendFormat(append(b, `},"received_at":"`...), timeForm)
	b = appendString(append(b, `","trace_id":`...), k.traceID)
	k.w.WriteHeader(http.StatusAccepted)
	_, _ = k.w.Write(append(b, '}', '\n')) // the client may be gone; the order is accepted
}

// location is where the order can be seen, under the prefix it was sent to.
func (k *call) location(orderID string) string {
	if strings.HasPrefix(k.r.URL.Path, "/v1/") {
		return "/v1/orders/" + orderID
	}
	return "/orders/" + orderID
}

// appendOffset appends an offset, null where the broker did not name it.
func appendOffset(b []byte, offset int64) []byte {
	if offset < 0 {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, offset, 10)
}
