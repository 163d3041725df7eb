package serve

import (
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// eventSource is ce_source of everything that came in over HTTP.
const eventSource = "/orderctl/serve"

// timeForm is RFC 3339 with milliseconds, as they stand in ce_time and received_at.
const timeForm = "2006-01-02T15:04:05.000Z"

// parcel is an order that is ready to be sent.
type parcel struct {
	order     order.Order
	key       []byte
	value     []byte // never empty: an empty value would be a tombstone
	content   string
	bytes     int // as received
	partition int32
	messageID string
}

// fill completes an order, judges it and makes its record value: the bytes as received, unless something was filled in.
// index is the place in a batch, below 0 outside.
func (k *call) fill(o order.Order, in form, body []byte, index int, now time.Time) (parcel, error) {
	d := order.Defaults{Currency: k.s.o.Currency, Now: now}
	if o.OrderID == "" {
		d.OrderID = orderID(k.client, in.key, index)
	}
	p := parcel{value: body, content: in.content, bytes: len(body)}
	filled := o.Fill(d)
	if err := o.Validate(now); err != nil {
		return p, err
	}
	if filled {
		p.value, p.content = o.AppendJSON(make([]byte, 0, len(body)+128)), queue.ContentJSON
	}
	p.order, p.key, p.messageID = o, []byte(o.OrderID), o.MessageID()
	p.partition = k.s.o.Partition(p.key, k.s.o.Partitions)
	return p, nil
}

// message makes the record of an order (DESIGN.md section 5). list is room for its headers.
func (k *call) message(p *parcel, now time.Time, loadTest string, list []queue.Header) queue.Message {
	h := headers{list: list, slab: make([]byte, 0, headerRoom+len(p.messageID)+len(k.id)+len(k.traceparent)+len(loadTest))}
	h.add(queue.HeaderSpecVersion, "1.0")
	h.add(queue.HeaderID, p.messageID)
	h.add(queue.HeaderType, eventType(p.order.Status))
	h.add(queue.HeaderSource, eventSource)
	h.addTime(queue.HeaderTime, now)
	h.add(queue.HeaderContentType, p.content)
	h.add(queue.HeaderTraceparent, k.traceparent)
	h.add(queue.HeaderRequestID, k.id)
	h.add(queue.HeaderClient, k.client)
	h.add(queue.HeaderFingerprint, p.order.Fingerprint())
	if loadTest != "" {
		h.add(queue.HeaderLoadTest, loadTest)
	}
	return queue.Message{
		Topic: k.s.o.Topic, Partition: p.partition, Key: p.key, Value: p.value, Headers: h.list, Time: now,
		Deadline: now.Add(k.s.o.Timeouts.Publish - min(deadlineMargin, k.s.o.Timeouts.Publish/10)),
	}
}

// deadlineMargin: a record that has not left this long before the answer 504 is not sent, so that the answer is 503.
const deadlineMargin = 100 * time.Millisecond

func eventType(s order.Status) string {
	switch s {
	case order.Created:
		return "internal.commerce.order.created.v1"
	case order.Paid:
		return "internal.commerce.order.paid.v1"
	default:
		return "internal.commerce.order." + strings.ToLower(string(s)) + ".v1"
	}
}

// headers gathers the headers of one record in two pieces of memory. Both belong to the publisher until done.
type headers struct {
	list []queue.Header
	slab []byte
}

// headerRoom is what the headers of known length take.
const (
	headerRoom  = 224
	headerCount = 11
)

// headerList is room for the headers of one of n records made together.
func headerList(all []queue.Header, i int) []queue.Header {
	return all[i*headerCount : i*headerCount : (i+1)*headerCount]
}

func (h *headers) add(name, value string) {
	from := len(h.slab)
	h.slab = append(h.slab, value...)
	h.put(name, from)
}

func (h *headers) addTime(name string, t time.Time) {
	from := len(h.slab)
	h.slab = t.UTC().AppendFormat(h.slab, timeForm)
	h.put(name, from)
}

func (h *headers) put(name string, from int) {
	h.list = append(h.list, queue.Header{Name: name, Value: h.slab[from:len(h.slab):len(h.slab)]})
}
