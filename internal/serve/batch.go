package serve

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// postBatch takes up to a thousand orders. All are read and judged before the first is sent; one bad order refuses them all.
func (s *Server) postBatch(k *call) *problem {
	line := k.audit()
	if p := k.stopping(); p != nil {
		return k.refuse(line, p)
	}
	in, p := k.form(s.o.Limits.BatchBody, queue.ContentJSON, contentNDJSON)
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
	raws, p := s.cutBatch(in, body)
	if p != nil {
		return k.refuse(line, p)
	}
	line.orders = len(raws)
	if p := s.more(&room, int64(len(raws)-1)); p != nil {
		return k.refuse(line, p)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	parcels, p := k.judge(raws, in, now)
	if p != nil {
		return k.refuse(line, p)
	}
	outcomes := k.sendBatch(parcels, in, now, &room)
	return k.answerBatch(parcels, outcomes)
}

// cutBatch cuts a body into the orders of it, each as it was received.
func (s *Server) cutBatch(in form, body []byte) ([][]byte, *problem) {
	split := splitArray
	if in.content == contentNDJSON {
		split = splitLines
	}
	raws, err := split(body, s.o.Limits.Batch)
	switch {
	case errors.Is(err, errBatchSize):
		p := fail(codeValidation, "A batch holds 1 to "+strconv.Itoa(s.o.Limits.Batch)+" orders.")
		p.errors = []order.Violation{{Pointer: "#", Code: "batch-size", Detail: p.detail}}
		return nil, p
	case err != nil:
		return nil, notAnOrder(err, form{content: queue.ContentJSON})
	}
	return raws, nil
}

// judge reads and completes all orders. A problem names the bad ones, at most twenty places.
func (k *call) judge(raws [][]byte, in form, now time.Time) ([]parcel, *problem) {
	parcels := make([]parcel, len(raws))
	first := make(map[string]int, len(raws))
	one := form{content: queue.ContentJSON, key: in.key}
	var bad []order.Violation
	for i, raw := range raws {
		o, err := order.ParseJSON(raw, k.s.o.Unknown)
		if err == nil {
			parcels[i], err = k.fill(o, one, raw, i, now)
		}
		var invalid *order.Invalid
		switch {
		case errors.As(err, &invalid):
			bad = append(bad, placed(invalid.Violations, i)...)
			continue
		case err != nil:
			p := notAnOrder(err, one)
			p.detail = "Order " + strconv.Itoa(i) + ": " + p.detail
			return nil, p
		}
		id := parcels[i].messageID
		if j, twice := first[id]; twice {
			bad = append(bad, order.Violation{
				Pointer: "#/" + strconv.Itoa(i), Code: "duplicate", Detail: "order id and status are those of order " + strconv.Itoa(j) + " of this batch",
			})
			continue
		}
		first[id] = i
	}
	if len(bad) > 0 {
		p := fail(codeValidation, "Nothing was sent: not every order of the batch is valid.")
		p.errors = bad[:min(len(bad), maxErrors)]
		return nil, p
	}
	return parcels, nil
}

// placed puts the index of an order in front of the pointers into it.
func placed(vs []order.Violation, index int) []order.Violation {
	out := make([]order.Violation, len(vs))
	for i, v := range vs {
		v.Pointer = "#/" + strconv.Itoa(index) + v.Pointer[min(1, len(v.Pointer)):]
		out[i] = v
	}
	return out
}

// answerBatch says per order what became of it: 202 when all are accepted, 504 when any is unknown, else 503.
func (k *call) answerBatch(parcels []parcel, outcomes []outcome) *problem {
	worst := accepted
	for i, out := range outcomes {
		line := k.s.lineOf(k.audit(), &parcels[i])
		line.bytes, line.offset = parcels[i].bytes, out.offset
		if out.kind == accepted {
			k.accept(line)
			continue
		}
		k.refuse(line, out.problem())
		if out.kind == unknown || worst == accepted {
			worst = out.kind
		}
	}
	results := encodeResults(parcels, outcomes)
	switch worst {
	case accepted:
		k.w.Header()[hdrContentType] = k.s.statics.json
		k.w.WriteHeader(http.StatusAccepted)
		_, _ = k.w.Write(append(append([]byte{'{'}, results...), '}', '\n')) // the client may be gone; the orders are accepted
		return nil
	case unknown:
		p := fail(codeOutcomeUnknown, "Some orders may be in the queue; results says which. Send the batch again with the same ids or key.")
		p.extra = results
		return p
	default:
		p := fail(codeKafkaUnavailable, "Not every order was written; results says which.")
		p.outcome, p.extra = "", results // an outcome would speak of all of them
		return p
	}
}

func encodeResults(parcels []parcel, outcomes []outcome) []byte {
	b := append(make([]byte, 0, 160*len(outcomes)), `"results":[`...)
	for i, out := range outcomes {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"index":`...), int64(i), 10)
		b = appendString(append(b, `,"order_id":`...), parcels[i].order.OrderID)
		b = appendString(append(b, `,"outcome":`...), out.kind.String())
		b = strconv.AppendInt(append(b, `,"replayed":false,"partition":`...), int64(parcels[i].partition), 10)
		b = appendOffset(append(b, `,"offset":`...), out.offset)
		b = append(b, `,"errors":[`...)
		if out.kind != accepted {
			p := out.problem()
			b = appendString(append(b, `{"code":`...), string(p.code))
			b = append(appendString(append(b, `,"detail":`...), p.detail), '}')
		}
		b = append(b, ']', '}')
	}
	return append(b, ']')
}
