package produce

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// sampler makes orders. Record n follows from (seed, run id, base time, n) alone; with keys, from the sequence: each of
// them is a chain of orders that walk from CREATED to COMPLETED, one after the other.
type sampler struct {
	o         Options
	partition queue.PartitionFunc // nil: what the target has is not known
	parts     int32
	mix       uint64 // seed and run id in one number
	pcg       *rand.PCG
	rng       *rand.Rand
	n         int64
	slots     []slot
}

// slot is one key's place in its chain.
type slot struct {
	id        string
	step      uint8
	round     uint32
	partition int32
}

func newSampler(o Options) *sampler {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendUint(nil, o.Seed, 10))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(o.RunID))
	pcg := rand.NewPCG(0, 0)
	s := &sampler{o: o, mix: h.Sum64(), pcg: pcg, rng: rand.New(pcg), slots: make([]slot, o.Keys)}
	if o.Kafka != nil {
		s.partition, s.parts = o.Kafka.Partition, o.Kafka.Partitions
	}
	return s
}

func (s *sampler) close() error { return nil }

func (s *sampler) next() (record, bool, error) {
	n := s.n
	s.n++
	var o order.Order
	if len(s.slots) == 0 {
		s.seed(s.mix, n)
		o = order.SampleItems(s.rng, requestID(s.o.RunID, n), s.stamp(n), s.o.MinItems, s.o.MaxItems)
	} else {
		o = s.chained(n)
	}
	r := record{number: n, at: -1, key: o.OrderID, order: o, content: queue.ContentJSON, ordered: len(s.slots) > 0}
	if s.o.Format == FormatProtobuf {
		raw, err := o.MarshalProto()
		r.value, r.content = raw, queue.ContentProtobuf
		return r, err == nil, err
	}
	r.value = o.AppendJSON(make([]byte, 0, 192+64*len(o.Items)))
	return r, true, nil
}

// seed begins the random numbers of one record anew.
func (s *sampler) seed(mix uint64, n int64) {
	s.pcg.Seed(mix, uint64(n)) //nolint:gosec // any 64 bits will do
}

// stamp is the timestamp of record n: a microsecond after the one before, so that no long run leaves the bounds.
func (s *sampler) stamp(n int64) time.Time {
	return s.o.BaseTime.Add(time.Duration(n) * time.Microsecond)
}

// chained takes one key a step on.
func (s *sampler) chained(n int64) order.Order {
	s.seed(s.mix, n)
	i := s.rng.IntN(len(s.slots))
	at := &s.slots[i]
	if at.id == "" {
		s.begin(i, at)
	}
	// The same content at every step: only the status differs.
	s.seed(s.mix^0x9e3779b97f4a7c15, int64(i)<<32|int64(at.round))
	o := order.SampleItems(s.rng, at.id, s.stamp(n), s.o.MinItems, s.o.MaxItems)
	o.Status = [...]order.Status{order.Created, order.Paid, order.Shipped, order.Completed}[at.step]
	if at.step++; at.step == 4 {
		at.step, at.id = 0, ""
		at.round++
	}
	return o
}

// begin gives a key its next order. Its id is the first that hashes to the key's partition, so that whatever skew the
// keys have stays.
func (s *sampler) begin(i int, at *slot) {
	base := s.o.RunID + "-k" + strconv.Itoa(i) + "-" + strconv.FormatUint(uint64(at.round), 10)
	at.id = base
	if s.partition == nil {
		return
	}
	if at.round == 0 {
		at.partition = s.partition([]byte(base), s.parts)
		return
	}
	for n := 1; s.partition([]byte(at.id), s.parts) != at.partition; n++ {
		at.id = base + "." + strconv.Itoa(n)
	}
}
