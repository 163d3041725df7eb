package consume

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store/storetest"
)

// story is a schedule written by hand: some windows are so narrow that chance does not meet them. One order, A0; processes
// by number.
type story struct{ *sim }

// claim is the newest claim of process p on a topic.
func (s story) claim(p int, topic string) (found *simClaim) {
	for _, c := range s.procs[p].claims {
		if c.topic == topic {
			found = c
		}
	}
	return found
}

func (s story) task(p int) *simTask { return s.procs[p].lanes["A0"][0] }

// until runs the lane of process p up to a step; past simFinish: to its end.
func (s story) until(p, step int) {
	for i := 0; i < 500 && len(s.procs[p].lanes["A0"]) > 0 && s.task(p).step != step; i++ {
		s.step(s.task(p), 0)
	}
}

const toTheEnd = simFinish + 1

// one makes one step of process p.
func (s story) one(p, chaos int) { s.step(s.task(p), chaos) }

func (s story) read(p int, topics ...string) {
	for _, topic := range topics {
		s.fetch(s.claim(p, topic))
	}
}

func (s story) move(topic string, p int)      { s.assign(topic, s.procs[p]) }
func (s story) commits(p int, topic string)   { s.markCommit(s.claim(p, topic)) }
func (s story) later(d time.Duration)         { s.now = s.now.Add(d) }
func (s story) dies(p, heir int)              { s.crash(s.procs[p], s.procs[heir]) }
func (s story) message(n int, f profile)      { s.produce("A0", n, 0, &f) }
func (s story) resend(n, body int, f profile) { s.produce("A0", n, body, &f) }

// operator does all of something with letter number n.
func (s story) operator(who, kind, letter, body int) {
	o := s.opers[who]
	s.begin(o, kind, letter, body)
	for s.operate(o, 0) {
	}
}

// fails says how a body fails that an operator will send.
func (s story) fails(n, body int, f profile) {
	s.sim.fails[queue.RowKey{MsgID: fmt.Sprint("A0:", n), Fingerprint: simContent("A0", body).Fingerprint()}] = &f
}

func once(times int) profile    { return profile{queue.ClassRetryable, times} }
func forEver(times int) profile { return profile{queue.ClassFatal, times} }

// stories are the directed schedules: what each tells, the configuration, and the bugs that it turns red.
func stories() []struct {
	name   string
	config simConfig
	bugs   []string
	tell   func(s story)
} {
	t1, t2, rpl := testNames.Retry(5*time.Second), testNames.Retry(time.Minute), testNames.Replay()
	return []struct {
		name   string
		config simConfig
		bugs   []string
		tell   func(s story)
	}{
		{"a position is written late, another copy lives", simConfig{}, []string{"pos-null", "pos-hop,pos-null"}, func(s story) {
			s.message(1, once(1))
			s.read(0, "orders")
			s.until(0, simPlace) // copy A is in the tier; its writer falls asleep
			s.move("orders", 1)
			s.read(1, "orders")
			s.until(1, toTheEnd) // rule 5: copy B, its position is written
			s.later(10 * time.Second)
			s.move(t1, 2)
			s.read(2, t1)
			s.until(2, toTheEnd) // A is stale
			s.read(2, t1)
			s.until(2, simWrite) // B is about to be done
			s.commits(2, t1)
			s.one(0, 0) // the sleeper writes the position of A
			s.until(2, toTheEnd)
		}},
		{"a position is written between hop and position of the next hop", simConfig{}, []string{"pos-hop"}, func(s story) { lateMark(s, t1, true) }},
		{"a position is written after the next hop is over", simConfig{}, []string{"pos-hop,pos-null"}, func(s story) { lateMark(s, t1, false) }},
		{"the second copy of a cut hop is claimed by a zombie", simConfig{probation: true}, []string{"cas-pos"}, func(s story) {
			s.message(1, once(1))
			s.read(0, "orders")
			s.until(0, simProduce) // step 1 is committed; P0 falls asleep
			s.move("orders", 1)
			s.move(t1, 2)
			s.read(1, "orders")
			s.until(1, simPlace) // hops again: copy X, its position is not written yet
			s.one(0, 0)          // P0 writes copy Y
			s.later(10 * time.Second)
			s.read(2, t1)
			s.until(2, simWrite) // P2 saw no position: X by rule 3; it stops before its write
			s.one(0, 0)          // P0 writes the position of Y
			s.until(1, toTheEnd)
			s.move(t1, 1)
			s.read(1, t1)
			s.until(1, toTheEnd) // X is stale here
			s.commits(1, t1)
			s.one(2, 0) // the zombie
			s.dies(2, 1)
		}},
		{"a parked message is claimed after it was parked again", simConfig{probation: true}, []string{"cas-hop"}, func(s story) {
			s.message(1, once(2))
			s.message(2, profile{})
			s.read(0, "orders", "orders")
			s.until(0, simFinish) // m1 is in the tier
			s.one(0, 0)
			s.until(0, simPlace)
			s.one(0, 1) // m2 is parked behind it; its position is not written
			s.until(0, toTheEnd)
			s.later(10 * time.Second)
			s.move(t1, 1)
			s.read(1, t1, t1)
			s.procs[1].lanes["A0"] = s.procs[1].lanes["A0"][1:] // P1 works m2 alone, against its lane
			s.until(1, simReadOrder)                            // its row: parked, hop 1, no position
			s.move(t1, 2)
			s.read(2, t1, t1)
			for len(s.procs[2].lanes["A0"]) > 0 { // P2: both hop once more
				s.until(2, simPlace)
				if len(s.procs[2].lanes["A0"]) > 0 {
					s.one(2, 1)
					s.one(2, 0)
				}
			}
			s.commits(2, t1) // m2 is parked again: hop 2, no position
			s.move(t2, 2)
			s.later(2 * time.Minute)
			s.read(2, t2)
			s.until(2, toTheEnd) // m1 is done, and in front of m2 is nothing
			s.until(1, toTheEnd)
			s.dies(1, 2)
		}},
		{"a discard is read, undone by others, and then written", simConfig{}, []string{"control-read", "control-off"}, func(s story) {
			s.message(1, forEver(1))
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.operator(0, operDiscard, 0, 0)
			s.read(0, rpl)
			s.until(0, simWrite) // read: dead, no word about it yet
			s.move(rpl, 1)
			s.read(1, rpl)
			s.until(1, toTheEnd)
			s.operator(1, operUndo, 0, 0)
			s.read(1, rpl)
			s.until(1, toTheEnd) // dead again: state, hop and position are as P0 read them
			s.commits(1, rpl)
			s.until(0, toTheEnd)
		}},
		{"a discard is written over a message that was accepted meanwhile", simConfig{}, []string{"control-off", "control-alone"}, func(s story) {
			s.message(1, forEver(1))
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.operator(0, operDiscard, 0, 0)
			s.read(0, rpl)
			s.until(0, simWrite)
			o := s.opers[1]
			s.begin(o, operReplay, 0, 0)
			for s.operate(o, 0) {
			}
			s.fails(1, 0, once(1))
			s.move(rpl, 1)
			s.logs[rpl][0], s.logs[rpl][1] = swapped(s.logs[rpl][0], s.logs[rpl][1])
			s.read(1, rpl)
			s.until(1, toTheEnd) // the replay is accepted, and waits in a tier
			s.until(0, toTheEnd)
		}},
		{"a dead content is superseded while its replay is accepted", simConfig{hold: true, local: 1}, []string{"super-cas"}, func(s story) {
			s.message(1, forEver(1))
			s.resend(1, 1, once(1))
			s.read(0, "orders", "orders")
			s.until(0, toTheEnd) // the first is dead, the second in the tier
			s.until(0, toTheEnd)
			s.later(10 * time.Second)
			s.move(t1, 1)
			s.read(1, t1)
			s.until(1, simWrite) // has read the first as dead, and will supersede it
			s.fails(1, 0, once(1))
			s.operator(0, operReplay, 0, 0)
			s.read(0, rpl)
			s.until(0, toTheEnd) // the replay of the first is accepted, fails, and waits
			s.until(1, toTheEnd)
		}},
		{"an operator is faster than the row of the letter", simConfig{nostore: true}, []string{"late-row"}, func(s story) {
			s.message(1, forEver(1))
			s.read(0, "orders")
			s.until(0, simProduce)
			s.one(0, 0) // the letter is there, and in the design its row was there before it
			s.opers[0].noStore = true
			s.begin(s.opers[0], operDiscard, 0, 0)
			s.opers[0].noStore = true
			for s.operate(s.opers[0], 0) {
			}
			s.move(rpl, 1)
			s.read(1, rpl)
			s.until(1, toTheEnd)
			s.commits(1, rpl)
			s.until(0, toTheEnd)
		}},
		{"two contents of one message id at once", simConfig{}, []string{"done-unique"}, func(s story) {
			s.message(1, once(1))
			s.resend(1, 1, profile{})
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.later(10 * time.Second)
			s.move(t1, 1)
			s.read(1, t1)
			s.until(1, simWrite) // has read that nothing is done
			s.read(0, "orders")
			s.until(0, toTheEnd) // the other content is done
			s.until(1, toTheEnd)
		}},
		{"a zombie writes done once more", simConfig{}, []string{"done-cas", "cas-state", "update-cas"}, func(s story) {
			s.message(1, once(1))
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.later(10 * time.Second)
			s.read(0, t1)
			s.until(0, simWrite)
			s.move(t1, 1)
			s.read(1, t1)
			s.until(1, toTheEnd)
			s.until(0, toTheEnd)
		}},
		{"a zombie hops once more", simConfig{}, []string{"hop-cas", "update-cas", "cas-state,cas-hop,cas-pos"}, func(s story) {
			s.message(1, once(3))
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.later(10 * time.Second)
			s.read(0, t1)
			s.until(0, simWrite) // about to write its second hop
			s.move(t1, 1)
			s.read(1, t1)
			s.until(1, toTheEnd)
			s.move(t2, 1)
			s.later(2 * time.Minute)
			s.read(1, t2)
			s.until(1, toTheEnd)
			s.until(0, toTheEnd)
		}},
		{"two operators edit one letter, and the hop of one is cut", simConfig{edits: true}, []string{"rule5-job"}, func(s story) {
			s.message(1, forEver(1))
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.fails(1, 3, once(1))
			s.operator(0, operEdit, 0, 3)
			s.operator(1, operEdit, 0, 4)
			s.fails(1, 4, profile{})
			s.move(rpl, 1)
			s.read(1, rpl)
			s.until(1, simProduce) // accepted, its retry is committed, its copy is not produced
			s.procs[1].lanes["A0"] = nil
			s.read(1, rpl) // the other operator's record, of the same hop number
			s.until(1, toTheEnd)
			s.later(10 * time.Second)
			s.dies(1, 0)
		}},
		{"a replay is read again after its message died once more", simConfig{}, []string{"accept-twice"}, func(s story) {
			s.message(1, forEver(2))
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.operator(0, operReplay, 0, 0)
			s.read(0, rpl)
			s.until(0, toTheEnd) // dead again
			s.move(rpl, 1)
			s.read(1, rpl)
			s.until(1, toTheEnd)
		}},
		{"an edited replay keeps the name of its message", simConfig{edits: true}, []string{"fp-edit"}, func(s story) {
			s.message(1, forEver(1))
			s.read(0, "orders")
			s.until(0, toTheEnd)
			s.operator(0, operEdit, 0, 3)
		}},
		{"the worker dies between done and the effect", simConfig{}, []string{"early-done"}, func(s story) {
			s.message(1, profile{})
			s.read(0, "orders")
			s.until(0, simDecide)
			s.commits(0, "orders")
			s.dies(0, 1)
		}},
		{"the worker dies between the row of a hop and its copy", simConfig{}, []string{"no-rehop"}, func(s story) {
			s.message(1, once(1))
			s.read(0, "orders")
			s.until(0, simProduce)
			s.dies(0, 1)
		}},
		{"the next message of an order comes while the first waits", simConfig{}, []string{"no-park"}, func(s story) {
			s.message(1, once(1))
			s.message(2, profile{})
			s.read(0, "orders", "orders")
		}},
		{"a duplicate further down waits behind nothing of its own order", simConfig{}, []string{"seq-dup"}, func(s story) {
			s.message(1, once(1))
			s.read(0, "orders")
			s.until(0, simProduce) // the hop is on its way
			s.message(2, profile{})
			s.message(1, profile{})
			s.move("orders", 1)
			s.dies(0, 1)
			s.read(1, "orders", "orders", "orders")
			s.procs[1].lanes["A0"] = s.procs[1].lanes["A0"][2:] // the duplicate first: rule 5, with the seq of its row
			s.until(1, toTheEnd)
			s.dies(1, 0)
		}},
	}
}

// swapped gives two records each other's place.
func swapped(a, b queue.Record) (queue.Record, queue.Record) {
	a.Offset, b.Offset = b.Offset, a.Offset
	return b, a
}

// lateMark: P0 has produced hop 1 and writes its position when P1 has hopped the message on.
func lateMark(s story, tier string, between bool) {
	s.message(1, once(2))
	s.read(0, "orders")
	s.until(0, simPlace)
	s.later(10 * time.Second)
	s.move(tier, 1)
	s.read(1, tier)
	s.until(1, simPlace) // hop 2 is produced, its position not written yet
	if between {
		s.one(0, 0)
	}
	s.until(1, toTheEnd)
	s.commits(1, tier)
	if !between {
		s.one(0, 0)
	}
}

// tell plays a story to its end.
func tell(c simConfig, bug string, open func() simStore, how func(story)) *sim {
	c.procs, c.orders, c.bug, c.open, c.tracing = 3, 1, bug, open, true
	if c.local == 0 {
		c.local = 1
	}
	s := newSim(c)
	how(story{s})
	if len(s.broken) == 0 {
		s.drain()
	}
	if len(s.broken) == 0 {
		s.check()
	}
	return s
}

func TestDirectedSchedules(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	for i, st := range stories() {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			if s := tell(st.config, "", nil, st.tell); len(s.broken) > 0 {
				t.Errorf("broke %v:\n%s", s.broken, strings.Join(s.trace, "\n"))
			}
			open := func() simStore { return &simDatabase{t: t, db: db, group: fmt.Sprint("story ", i)} }
			if s := tell(st.config, "", open, st.tell); len(s.broken) > 0 {
				t.Errorf("in SQLite broke %v:\n%s", s.broken, strings.Join(s.trace, "\n"))
			}
			for _, bug := range st.bugs {
				s := tell(st.config, bug, nil, st.tell)
				if len(s.broken) == 0 {
					t.Errorf("does not notice %s:\n%s", bug, strings.Join(s.trace, "\n"))
				} else {
					t.Logf("%s: %s", bug, s.broken[0])
				}
			}
		})
	}
}
