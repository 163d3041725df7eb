package consume

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// The simulation plays the real reader, decide, copies and tracker over a store that compares and sets, one small step at
// a time: two or three processes, zombies, crashes between all steps, duplicates, two contents under one id, offsets set
// back, probation, and two operators who replay, edit, discard and undo. A schedule is a list of events. One that does not
// apply does nothing, so a schedule with some of them taken out is one too. After the last event everything is drained
// without further faults, and the invariants are checked.
type sim struct {
	simConfig
	bugs   map[string]bool
	store  simStore
	policy policy
	worker *Worker // for its copies
	now    time.Time

	logs   map[string][]queue.Record
	commit map[string]int64
	owner  map[string]*simClaim
	procs  []*simProc
	opers  []*simOper
	jobs   int

	// What the rules cannot see.
	truly   map[queue.Position]bool // done by somebody
	first   map[queue.RowKey]int64  // by first content: where it was produced first
	fails   map[queue.RowKey]*profile
	sent    map[string]string    // by replay id: the content that it carries
	ledger  map[string][]string  // what the operators noted of a letter
	effects map[string][]simDone // by order
	viaRpl  map[queue.RowKey]bool
	everD   map[queue.RowKey]bool // was discarded once: it no longer holds its place
	hops    map[queue.RowKey]int

	seen   map[string]int // what happened, by name
	broken []string
	trace  []string
}

type simConfig struct {
	hold, edits, discards, again, toOrigin, nostore, probation, effect, oneRead bool
	procs, orders, local                                                        int
	bug                                                                         string // one or more, with commas between
	tracing                                                                     bool
	open                                                                        func() simStore
}

// simDone is an effect.
type simDone struct {
	key   queue.RowKey
	truth queue.RowKey
	seq   int64 // of the first content, whatever the row says
}

// profile says how a content fails, and how often.
type profile struct {
	class queue.Class
	left  int
}

type simClaim struct {
	topic   string
	proc    *simProc
	tracker tracker
	next    int64
}

type simProc struct {
	n      int
	claims []*simClaim
	lanes  map[string][]*simTask
}

// The steps of a task.
const (
	simRead = iota
	simReadOrder
	simDecide
	simWrite
	simProduce
	simPlace
	simFinish
)

type simTask struct {
	claim    *simClaim
	rec      queue.Record
	msg      *message
	step     int
	seen     queue.Seen
	v        verdict
	runs     bool // the change is that of an effect
	produced bool
	at       queue.Position
}

const truthHeader = "truth" // names the content that a message had first; hops keep it, rules do not read it

func newSim(c simConfig) *sim {
	s := &sim{
		simConfig: c, bugs: map[string]bool{}, now: noon, policy: testPolicy(),
		logs: map[string][]queue.Record{}, commit: map[string]int64{}, owner: map[string]*simClaim{}, truly: map[queue.Position]bool{},
		first: map[queue.RowKey]int64{}, fails: map[queue.RowKey]*profile{}, sent: map[string]string{}, ledger: map[string][]string{},
		effects: map[string][]simDone{}, viaRpl: map[queue.RowKey]bool{}, everD: map[queue.RowKey]bool{}, hops: map[queue.RowKey]int{},
		seen: map[string]int{}, opers: []*simOper{{}, {}},
	}
	for b := range strings.SplitSeq(c.bug, ",") {
		s.bugs[b] = true
	}
	s.policy.hold, s.policy.effect, s.policy.attempts, s.policy.probation = c.hold, c.effect, c.local, c.probation
	s.worker = &Worker{o: Options{Names: testNames, Instance: "w"}}
	if c.open == nil {
		mem := NewMemStore()
		mem.bugs = s.bugs
		s.store = simMemory{mem}
	} else {
		s.store = c.open()
	}
	for n := range c.procs {
		s.procs = append(s.procs, &simProc{n: n, lanes: map[string][]*simTask{}})
	}
	for _, topic := range testNames.Consumed() {
		s.assign(topic, s.procs[0])
	}
	return s
}

func (s *sim) bad(format string, args ...any) {
	s.broken = append(s.broken, fmt.Sprintf(format, args...))
	s.say("!!! "+format, args...)
}

func (s *sim) say(format string, args ...any) {
	if !s.tracing {
		return
	}
	s.trace = append(s.trace, fmt.Sprintf("%5d ", int(s.now.Sub(noon).Seconds()))+fmt.Sprintf(format, args...))
}

func (s *sim) assign(topic string, p *simProc) {
	c := &simClaim{topic: topic, proc: p, next: s.commit[topic], tracker: newTracker(s.commit[topic])}
	s.owner[topic] = c
	p.claims = append(p.claims, c)
}

func (s *sim) write(topic string, key, value []byte, hs []queue.Header) queue.Position {
	r := queue.Record{Topic: topic, Offset: int64(len(s.logs[topic])), Key: key, Value: value, Headers: hs, Time: s.now}
	s.logs[topic] = append(s.logs[topic], r)
	return r.Position()
}

// content is a message body: number 9 breaks a rule of orders.
func simContent(orderID string, n int) order.Order {
	o := SampleOrder(orderID, order.Created)
	if o.UserID = "u" + strconv.Itoa(n); n == 9 {
		o.UserID = "u 9"
	}
	return o
}

// produce sends a content of message n of an order.
func (s *sim) produce(orderID string, n, body int, fails *profile) {
	o := simContent(orderID, body)
	key := queue.RowKey{MsgID: orderID + ":" + strconv.Itoa(n), Fingerprint: o.Fingerprint()}
	at := s.write("orders", []byte(orderID), o.AppendJSON(nil), []queue.Header{
		{Name: queue.HeaderID, Value: []byte(key.MsgID)}, {Name: truthHeader, Value: []byte(key.Fingerprint)},
	})
	if _, known := s.first[key]; !known {
		s.first[key] = at.Offset
	}
	if s.fails[key] == nil {
		s.fails[key] = fails
	}
	s.say("PRODUCER %s content %d at %s, fails %+v", key.MsgID, body, at, *s.fails[key])
}

// truth is the content that the message of a record had first.
func truth(rec queue.Record) queue.RowKey {
	id, _ := queue.First(rec.Headers, queue.HeaderID)
	print, _ := queue.First(rec.Headers, truthHeader)
	return queue.RowKey{MsgID: id, Fingerprint: print}
}

// fetch receives a record that is due.
func (s *sim) fetch(c *simClaim) bool {
	_, delay, _ := testNames.Role(c.topic)
	if c.next >= int64(len(s.logs[c.topic])) || s.logs[c.topic][c.next].Time.Add(delay).After(s.now) {
		return false
	}
	rec := s.logs[c.topic][c.next]
	c.next++
	c.tracker.add(rec.Offset)
	t := &simTask{claim: c, rec: rec, msg: reader{names: testNames, unknown: order.KeepUnknown}.read(rec, s.now)}
	if s.bugs["origin-fp"] && c.topic == "orders" && t.msg.replayID != "" {
		t.msg.key.Fingerprint = t.msg.order.Fingerprint()
		t.msg.trail.Fingerprint = t.msg.key.Fingerprint
	}
	key := t.msg.lane(rec.Key)
	c.proc.lanes[key] = append(c.proc.lanes[key], t)
	s.say("P%d reads %s hop %d replay %q %s at %s", c.proc.n, t.msg.key.MsgID, t.msg.hop, t.msg.replayID, t.msg.discard, rec.Position())
	return true
}

// step takes a task one step further. chaos 1: the answer of its produce, or its position, is lost; 2: it is sent twice.
func (s *sim) step(t *simTask, chaos int) {
	look := queue.Lookup{MsgID: t.msg.key.MsgID, OrderID: t.msg.orderID}
	switch t.step {
	case simRead:
		if s.bugs["early-done"] {
			s.done(t)
		}
		t.seen = queue.Seen{Message: s.store.message(look)}
		t.step = simReadOrder
		if s.oneRead {
			t.seen.Order, t.seen.Stored = s.store.order(look)
			t.step = simDecide
		}
	case simReadOrder:
		t.seen.Order, t.seen.Stored = s.store.order(look)
		t.step = simDecide
	case simDecide:
		s.settle(t)
	case simWrite:
		s.save(t, look)
	case simProduce:
		s.copy(t, chaos)
	case simPlace:
		if chaos == 0 {
			s.store.place(t.v.hop.RowKey, t.v.hop.Hop, t.at)
			s.say("  P%d position of %s hop %d: %s", t.claim.proc.n, t.v.hop.MsgID, t.v.hop.Hop, t.at)
		}
		t.step = simFinish
	case simFinish:
		s.done(t)
		lane := t.msg.lane(t.rec.Key)
		t.claim.proc.lanes[lane] = t.claim.proc.lanes[lane][1:]
	}
}

func (s *sim) done(t *simTask) {
	t.claim.tracker.finish(t.rec.Offset)
	s.truly[t.rec.Position()] = true
}

// settle decides, and runs the effect.
func (s *sim) settle(t *simTask) {
	t.v = s.decide(t)
	s.seen["rule "+strconv.Itoa(t.v.rule)]++
	if row := content(t.seen.Message, t.msg.key); row != nil && t.v.rule > 6 {
		s.seen[met(*row, t.msg)]++
	}
	s.seen[t.v.outcome]++
	s.say("  P%d %s hop %d at %s: rule %d %s", t.claim.proc.n, t.msg.key.MsgID, t.msg.hop, t.rec.Position(), t.v.rule, t.v.outcome)
	own := t.v.row(t.msg.key)
	t.runs = t.v.rule == 11 && own != nil && own.State == queue.StateDone
	f := s.fails[queue.RowKey{MsgID: t.msg.key.MsgID, Fingerprint: t.msg.order.Fingerprint()}]
	if t.runs && f != nil && f.left > 0 {
		f.left--
		t.msg.tries++
		if !retryable(f.class) || t.v.used+1 >= s.policy.attempts {
			t.msg.failure = &queue.Failure{Class: f.class, Code: "x"}
		}
		t.step = simRead
		return
	}
	switch {
	case t.v.hop != nil && (s.bugs["no-rehop"] && t.v.rule == 5):
		t.step = simFinish
	case t.v.hop != nil && (len(t.v.change.Writes) == 0 || s.bugs["late-row"]):
		t.step = simProduce
	case len(t.v.change.Writes) > 0:
		t.step = simWrite
	default:
		t.step = simFinish
	}
}

// row is what a verdict makes of the row of its own message; nil: nothing.
func (v *verdict) row(key queue.RowKey) *queue.Row {
	for i := range v.change.Writes {
		if v.change.Writes[i].Row.RowKey == key {
			return &v.change.Writes[i].Row
		}
	}
	return nil
}

// met names the rule by which a record with a row went on.
func met(row queue.Row, m *message) string {
	switch {
	case row.At == m.at:
		return "rule 2"
	case row.State == queue.StateDead || row.State == queue.StateDiscarded:
		return "rule 4"
	}
	return "rule 3"
}

// save writes the change, compared with what was read.
func (s *sim) save(t *simTask, look queue.Lookup) {
	before := map[queue.RowKey]queue.Row{}
	for _, w := range t.v.change.Writes {
		before[w.Row.RowKey] = s.store.row(w.Row.RowKey)
	}
	if !s.store.write(look, t.v.change) {
		s.say("  P%d lost a compare, reads again", t.claim.proc.n)
		s.seen["raced"]++
		t.step = simRead
		return
	}
	for key, was := range before {
		s.moved(was, s.store.row(key))
	}
	switch {
	case t.v.again:
		t.msg.started = true
		t.step = simRead
	case t.v.hop != nil && !t.produced:
		t.step = simProduce
	case t.v.hop != nil:
		t.step = simPlace
	default:
		t.step = simFinish
	}
	if t.runs {
		s.apply(t)
	}
}

// copy produces the copy of a hop.
func (s *sim) copy(t *simTask, chaos int) {
	c := s.worker.copyOf(&item{rec: t.rec, msg: t.msg}, *t.v.hop)
	if s.bugs["seq-dup"] {
		c.trail.Origin = t.msg.src
		c.message.Headers = c.trail.Append(c.user)
	}
	for range 1 + chaos/2 {
		t.at = s.write(c.message.Topic, c.message.Key, c.message.Value, c.message.Headers)
	}
	s.say("  P%d produces %s hop %d at %s, chaos %d", t.claim.proc.n, t.v.hop.MsgID, t.v.hop.Hop, t.at, chaos)
	if s.hops[t.msg.key]++; s.hops[t.msg.key] > 150 {
		s.bad("LIVE %s hops for ever", t.msg.key.MsgID)
	}
	switch {
	case chaos == 1: // the answer was lost: sent once more
	case s.bugs["late-row"] && len(t.v.change.Writes) > 0:
		t.produced, t.step = true, simWrite
	default:
		t.step = simPlace
	}
}

// markCommit commits what the owner of a topic has finished; a zombie's commit is refused.
func (s *sim) markCommit(c *simClaim) {
	if s.owner[c.topic] != c {
		return
	}
	for o := s.commit[c.topic]; o < c.tracker.lowest(); o++ {
		if !s.truly[queue.Position{Topic: c.topic, Offset: o}] {
			s.bad("I6 commit of %s passes unfinished %d", c.topic, o)
		}
	}
	s.commit[c.topic] = max(s.commit[c.topic], c.tracker.lowest())
}

// forget drops a claim with what is in hand of it; what is in flight may go on.
func (p *simProc) forget(c *simClaim, inFlight bool) {
	p.claims = slices.DeleteFunc(p.claims, func(x *simClaim) bool { return x == c })
	for k, l := range p.lanes {
		var kept []*simTask
		for i, t := range l {
			if t.claim != c || !inFlight && i == 0 && t.step != simRead {
				kept = append(kept, t)
			}
		}
		p.lanes[k] = kept
	}
}

func (s *sim) crash(p, heir *simProc) {
	s.say("P%d CRASHES", p.n)
	s.seen["crash"]++
	claims := p.claims
	p.claims, p.lanes = nil, map[string][]*simTask{}
	for _, c := range claims {
		if s.owner[c.topic] == c {
			s.assign(c.topic, heir)
		}
	}
}

func (p *simProc) busy() []string {
	var busy []string
	for k, l := range p.lanes {
		if len(l) > 0 {
			busy = append(busy, k)
		}
	}
	slices.Sort(busy)
	return busy
}

// drain lets everything come to its end without further faults.
func (s *sim) drain() {
	s.say("--- drain")
	for range 3_000 {
		moved := false
		for _, o := range s.opers {
			moved = s.operate(o, 0) || moved
		}
		for _, p := range s.procs {
			for _, c := range slices.Clone(p.claims) {
				moved = s.owner[c.topic] == c && s.fetch(c) || moved
				s.markCommit(c)
			}
			for _, lane := range p.busy() {
				for i := 0; i < 3 && len(p.lanes[lane]) > 0; i++ {
					s.step(p.lanes[lane][0], 0)
					moved = true
				}
			}
		}
		if len(s.broken) > 0 || !moved && s.waiting() == 0 {
			return
		}
		if !moved {
			s.now = s.now.Add(10 * time.Second)
		}
	}
	s.bad("LIVE not drained")
}

func (s *sim) waiting() int {
	n := 0
	for topic, c := range s.owner {
		n += len(s.logs[topic]) - int(c.next)
	}
	return n
}
