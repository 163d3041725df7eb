package consume

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// sim plays the real reader, decide, copies and tracker over a store that compares and sets, under random schedules: two
// processes, crashes between all steps, zombies, duplicates, other contents under one id, offsets set back, replays.
type sim struct {
	rng    *rand.Rand
	bug    string
	hold   bool
	store  *MemStore
	policy policy
	worker *Worker // for its copies
	now    time.Time

	logs   map[string][]queue.Record
	commit map[string]int64
	owner  map[string]*simClaim
	procs  []*simProc
	truly  map[queue.Position]bool // done by somebody
	first  map[queue.RowKey]int64  // where a message was produced first
	fails  map[queue.RowKey]*profile
	effect []queue.Row
	viaRpl map[queue.RowKey]bool
	everD  map[queue.RowKey]bool // was discarded once: it no longer holds its place
	hops   map[string]int
	jobs   int
	seen   map[string]int // what happened, by name
	broken []string
}

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
	claims []*simClaim
	lanes  map[string][]*simTask
}

type simTask struct {
	claim *simClaim
	rec   queue.Record
	msg   *message
	step  int // 0 read, 1 decide and write, 2 produce, 3 position, 4 done
	seen  queue.Seen
	v     verdict
	at    queue.Position
}

func newSim(seed uint64, bug string) *sim {
	s := &sim{
		rng: rand.New(rand.NewPCG(seed, 7)), bug: bug, store: NewMemStore(), now: noon, policy: testPolicy(),
		logs: map[string][]queue.Record{}, commit: map[string]int64{}, owner: map[string]*simClaim{}, truly: map[queue.Position]bool{},
		first: map[queue.RowKey]int64{}, fails: map[queue.RowKey]*profile{}, viaRpl: map[queue.RowKey]bool{},
		everD: map[queue.RowKey]bool{}, hops: map[string]int{}, seen: map[string]int{},
	}
	s.hold = s.rng.IntN(2) == 0
	s.policy.hold, s.policy.effect, s.policy.attempts = s.hold, false, 2
	s.worker = &Worker{o: Options{Names: testNames, Instance: "w"}}
	s.store.bugs = map[string]bool{bug: true}
	s.store.Written = func(_, is queue.Row, _ bool) {
		s.everD[is.RowKey] = s.everD[is.RowKey] || is.State == queue.StateDiscarded
	}
	s.procs = []*simProc{{lanes: map[string][]*simTask{}}, {lanes: map[string][]*simTask{}}}
	for _, topic := range testNames.Consumed() {
		s.assign(topic, s.procs[0])
	}
	return s
}

func (s *sim) bad(format string, args ...any) {
	s.broken = append(s.broken, fmt.Sprintf(format, args...))
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

// produce sends a message of one of two orders: mostly the next, sometimes one again, sometimes another content.
func (s *sim) produce() {
	id := "A" + strconv.Itoa(s.rng.IntN(2))
	n := 0
	for key := range s.first {
		if strings.HasPrefix(key.MsgID, id) {
			n++
		}
	}
	number, content := n, 0
	if n > 0 && s.rng.IntN(10) < 4 {
		number, content = s.rng.IntN(n), s.rng.IntN(2)
	}
	o := SampleOrder(id, order.Created)
	o.UserID = "u" + strconv.Itoa(content)
	key := queue.RowKey{MsgID: id + ":" + strconv.Itoa(number), Fingerprint: o.Fingerprint()}
	at := s.write("orders", []byte(id), o.AppendJSON(nil), []queue.Header{{Name: queue.HeaderID, Value: []byte(key.MsgID)}})
	if _, known := s.first[key]; !known {
		s.first[key] = at.Offset
		s.fails[key] = &profile{}
		switch s.rng.IntN(7) {
		case 0, 1:
			s.fails[key] = &profile{queue.ClassRetryable, 1 + s.rng.IntN(5)}
		case 2:
			s.fails[key] = &profile{queue.ClassFatal, 1 + s.rng.IntN(2)}
		}
	}
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
	key := t.msg.lane(rec.Key)
	c.proc.lanes[key] = append(c.proc.lanes[key], t)
	return true
}

// step takes the first task of a lane one step further.
func (s *sim) step(p *simProc, lane string) {
	t := p.lanes[lane][0]
	switch t.step {
	case 0:
		if s.bug == "early-done" {
			s.finish(t)
		}
		t.seen = s.store.read([]queue.Lookup{{MsgID: t.msg.key.MsgID, OrderID: t.msg.orderID}})[0]
		t.step = 1
	case 1:
		s.settle(t)
	case 2:
		c := s.worker.copyOf(&item{rec: t.rec, msg: t.msg}, *t.v.hop)
		t.at = s.write(c.message.Topic, c.message.Key, c.message.Value, c.message.Headers)
		if s.hops[t.msg.key.MsgID]++; s.hops[t.msg.key.MsgID] > 150 {
			s.bad("LIVE %s hops for ever", t.msg.key.MsgID)
		}
		t.step = 3
		if s.rng.IntN(12) == 0 {
			t.step = 2 // the answer was lost: sent once more
		}
	case 3:
		if s.rng.IntN(12) > 0 {
			_ = s.store.Place(nil, "g", t.v.hop.RowKey, t.v.hop.Hop, t.at) //nolint:staticcheck // the store in memory asks no context
		}
		t.step = 4
	case 4:
		s.finish(t)
		p.lanes[lane] = p.lanes[lane][1:]
	}
}

func (s *sim) finish(t *simTask) {
	t.claim.tracker.finish(t.rec.Offset)
	s.truly[t.rec.Position()] = true
}

// settle decides, runs the effect, writes.
func (s *sim) settle(t *simTask) {
	seen := s.corrupt(t)
	t.v = s.policy.decide(t.msg, seen, s.now)
	s.seen["rule "+strconv.Itoa(t.v.rule)]++
	if row, ok := content(seen.Message, t.msg.key); ok && t.v.rule > 6 {
		s.seen[met(row, t.msg)]++
	}
	runs := t.v.outcome == string(queue.Skipped)
	if f := s.fails[t.msg.key]; runs && f != nil && f.left > 0 {
		f.left--
		t.msg.tries++
		if !retryable(f.class) || t.v.used+1 >= s.policy.attempts {
			t.msg.failure = &queue.Failure{Class: f.class, Code: "x"}
		}
		t.step = 0
		return
	}
	s.store.mu.Lock()
	err := s.store.commit(t.v.change, nil)
	s.store.mu.Unlock()
	switch {
	case err != nil:
		s.seen["raced"]++
		t.step = 0
	case t.v.hop != nil && (s.bug != "no-rehop" || t.v.rule != 5):
		t.step = 2
	default:
		t.step = 4
	}
	if err == nil && runs {
		s.apply(t.v.change.Writes, t.msg)
	}
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

// corrupt hands decide what a seeded bug makes of what was read.
func (s *sim) corrupt(t *simTask) queue.Seen {
	seen := t.seen
	switch s.bug {
	case "no-park":
		seen.Order = nil
	case "seq-dup":
		seen.Message = slices.Clone(seen.Message)
		for i := range seen.Message {
			seen.Message[i].Src = t.msg.src
		}
	}
	return seen
}

// apply is the effect: I2 and I5.
func (s *sim) apply(writes []queue.Write, m *message) {
	i := slices.IndexFunc(writes, func(w queue.Write) bool { return w.Row.RowKey == m.key })
	row := writes[i].Row
	if m.replayID != "" || row.ReplayID != "" {
		s.viaRpl[m.key] = true
	}
	free := s.viaRpl[m.key] && !s.hold || s.everD[m.key]
	for _, e := range s.effect {
		if e.MsgID == row.MsgID {
			s.bad("I2 %s took effect twice", row.MsgID)
		} else if e.OrderID == row.OrderID && s.first[e.RowKey] > s.first[row.RowKey] && !free {
			s.bad("I5 %s after %s", row.MsgID, e.MsgID)
		}
	}
	for _, r := range s.store.Rows() {
		if r.OrderID == row.OrderID && r.MsgID != row.MsgID && s.first[r.RowKey] < s.first[row.RowKey] && !free && !s.everD[r.RowKey] &&
			(s.hold || r.ReplayID == "") && (r.State.Waiting() || r.State == queue.StateDead && s.hold) {
			s.bad("I5 %s past %s, which is %s", row.MsgID, r.MsgID, r.State)
		}
	}
	s.effect = append(s.effect, row)
}

// markCommit commits what the owner of a topic has finished; a zombie's commit is refused. I6.
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

// forget drops a claim with all that is in hand of it.
func (p *simProc) forget(c *simClaim) {
	p.claims = slices.DeleteFunc(p.claims, func(x *simClaim) bool { return x == c })
	for k, l := range p.lanes {
		p.lanes[k] = slices.DeleteFunc(l, func(t *simTask) bool { return t.claim == c })
	}
}

func (s *sim) crash(p *simProc) {
	for _, c := range slices.Clone(p.claims) {
		p.forget(c)
		if s.owner[c.topic] == c {
			s.assign(c.topic, s.procs[s.rng.IntN(2)])
		}
	}
	s.seen["crash"]++
}

// replay sends a letter to the replay topic, whatever has become of it meanwhile.
func (s *sim) replay() {
	letters := s.logs[testNames.DLQ()]
	if len(letters) == 0 {
		return
	}
	l := letters[s.rng.IntN(len(letters))]
	t := queue.ReadTrail(l.Headers)
	s.jobs++
	t.Hop, t.ReplayID = t.Hop+1, "job"+strconv.Itoa(s.jobs)
	t.Class, t.Code, t.NotBefore = "", "", time.Time{}
	hs := t.Append(l.Headers)
	for range 1 + s.rng.IntN(2) { // an operator may crash, and go on
		s.write(testNames.Replay(), l.Key, l.Value, hs)
	}
}

func (s *sim) event() {
	p := s.procs[s.rng.IntN(2)]
	switch n := s.rng.IntN(100); {
	case n < 12:
		s.produce()
	case n < 30:
		if len(p.claims) > 0 {
			s.fetch(p.claims[s.rng.IntN(len(p.claims))])
		}
	case n < 75:
		if busy := p.busy(); len(busy) > 0 {
			lane := busy[s.rng.IntN(len(busy))]
			for range 1 + s.rng.IntN(6) {
				if len(p.lanes[lane]) > 0 {
					s.step(p, lane)
				}
			}
		}
	case n < 83:
		for _, c := range p.claims {
			s.markCommit(c)
		}
	case n < 86:
		s.assign(testNames.Consumed()[s.rng.IntN(4)], p) // whoever had it goes on as a zombie
	case n < 88:
		for _, c := range p.claims {
			if s.owner[c.topic] != c {
				p.forget(c)
				break
			}
		}
	case n < 91:
		s.crash(p)
	case n < 96:
		s.now = s.now.Add(time.Duration(s.rng.IntN(60)) * time.Second)
	case n < 97:
		topic := testNames.Consumed()[s.rng.IntN(4)]
		s.commit[topic] = s.rng.Int64N(s.commit[topic] + 1)
		s.assign(topic, p)
	default:
		s.replay()
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

// drain lets everything come to its end without further faults, then checks I1 and I3.
func (s *sim) drain() {
	for range 5_000 {
		moved := false
		for _, p := range s.procs {
			for _, c := range p.claims {
				moved = s.owner[c.topic] == c && s.fetch(c) || moved
				s.markCommit(c)
			}
			for _, lane := range p.busy() {
				s.step(p, lane)
				moved = true
			}
		}
		if !moved && s.waiting() == 0 {
			break
		}
		s.now = s.now.Add(10 * time.Second)
		if len(s.broken) > 0 {
			return
		}
	}
	if s.waiting() > 0 {
		s.bad("LIVE not drained")
	}
	s.check()
}

func (s *sim) waiting() int {
	n := 0
	for topic, c := range s.owner {
		n += len(s.logs[topic]) - int(c.next)
	}
	return n
}

func (s *sim) check() {
	effects := map[queue.RowKey]int{}
	for _, e := range s.effect {
		effects[e.RowKey]++
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.first), func(a, b queue.RowKey) int { return strings.Compare(a.MsgID, b.MsgID) }) {
		row, ok := s.store.rows[key]
		switch {
		case !ok:
			s.bad("I1 %s has no row", key.MsgID)
		case row.State.Waiting():
			s.bad("I1 %s is still %s", key.MsgID, row.State)
		case (row.State == queue.StateDone) != (effects[key] == 1):
			s.bad("I1 %s is %s with %d effects", key.MsgID, row.State, effects[key])
		case row.State == queue.StateDead:
			s.checkLetter(row)
		}
	}
	for topic, c := range s.owner {
		s.markCommit(c)
		if s.commit[topic] != int64(len(s.logs[topic])) {
			s.bad("I6 commit of %s is %d of %d at the end", topic, s.commit[topic], len(s.logs[topic]))
		}
	}
}

// checkLetter: a dead row has a letter of its hop number, whose replay would be accepted.
func (s *sim) checkLetter(row queue.Row) {
	for _, l := range s.logs[testNames.DLQ()] {
		if t := queue.ReadTrail(l.Headers); t.MsgID == row.MsgID && t.Fingerprint == row.Fingerprint && t.Hop == row.Hop {
			m := &message{key: row.RowKey, hop: t.Hop + 1, replayID: "new", at: queue.Position{Topic: testNames.Replay(), Offset: 1 << 30}, orderID: row.OrderID}
			if v := s.policy.decide(m, queue.Seen{Message: []queue.Row{row}}, s.now); v.rule == 6 {
				s.bad("I3 a replay of %s would be refused", row.MsgID)
			}
			return
		}
	}
	s.bad("I3 %s is dead without a letter", row.MsgID)
}

func runSim(seed uint64, bug string) *sim {
	s := newSim(seed, bug)
	for range 60 + s.rng.IntN(120) {
		if s.event(); len(s.broken) > 0 {
			return s
		}
	}
	s.drain()
	return s
}

func TestTheRulesHoldUnderRandomSchedules(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range uint64(1_500) {
		s := runSim(seed, "")
		if len(s.broken) > 0 {
			t.Fatalf("schedule %d, hold %v: %v", seed, s.hold, s.broken)
		}
		for k, n := range s.seen {
			seen[k] += n
		}
	}
	for _, must := range []string{
		"rule 1", "rule 2", "rule 3", "rule 4", "rule 5", "rule 6", "rule 8", "rule 9", "rule 10", "rule 11", "raced", "crash",
	} {
		if seen[must] == 0 {
			t.Errorf("no schedule reached %s: %v", must, seen)
		}
	}
}

// A rule counts once a seeded bug has turned its invariant red.
func TestSeededBugsTurnTheSimulationRed(t *testing.T) {
	t.Parallel()
	for bug, invariants := range map[string]string{
		"early-done": "I1 I3 I5 LIVE", "no-rehop": "I1 I3 LIVE", "no-park": "I5", "insert-cas": "I1 I2 I3 I5", "done-unique": "I2",
		"update-cas": "I1 I2 I3 I5", "seq-dup": "I5 LIVE",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20_000) {
				if s := runSim(seed, bug); len(s.broken) > 0 {
					t.Logf("schedule %d: %v", seed, s.broken)
					if found, _, _ := strings.Cut(s.broken[0], " "); !strings.Contains(invariants, found) {
						t.Errorf("turned red by %s, not by %s", found, invariants)
					}
					return
				}
			}
			t.Error("no schedule noticed it")
		})
	}
}
