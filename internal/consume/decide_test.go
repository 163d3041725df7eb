package consume

import (
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

var testNames = queue.Names{Source: "orders", Group: "g", Tiers: []time.Duration{5 * time.Second, time.Minute}}

const (
	tier1 = "orders.g.retry.5s"
	tier2 = "orders.g.retry.1m"
	rpl   = "orders.g.replay"
	dlq   = "orders.g.dlq"
)

var noon = time.UnixMilli(1_700_000_000_000).UTC()

func testPolicy() policy {
	return policy{names: testNames, ordering: ByKey, effect: true, attempts: 3}
}

func pos(topic string, offset int64) queue.Position {
	return queue.Position{Topic: topic, Partition: 2, Offset: offset}
}

// theMessage is the PAID of order A, first met at orders/2@10.
func theMessage(change ...func(*message)) *message {
	m := &message{
		at: pos("orders", 10), role: queue.RoleSource, src: pos("orders", 10), entered: noon,
		key: queue.RowKey{MsgID: "A:PAID", Fingerprint: "f"}, order: SampleOrder("A", order.Paid), orderID: "A", traceID: "t",
	}
	for _, c := range change {
		c(m)
	}
	return m
}

// theRow is its row: in the first tier after three attempts.
func theRow(change ...func(*queue.Row)) queue.Row {
	r := queue.Row{
		RowKey: queue.RowKey{MsgID: "A:PAID", Fingerprint: "f"}, State: queue.StateRetry, Hop: 1, At: pos(tier1, 4), OrderID: "A",
		Src: pos("orders", 10), Attempts: 3, Control: -1,
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func neighbour(seq int64, s queue.State, at queue.Position) queue.Row {
	return queue.Row{
		RowKey: queue.RowKey{MsgID: "A:CREATED", Fingerprint: "e"}, State: s, Hop: 1, At: at, OrderID: "A", Src: pos("orders", seq), Control: -1,
	}
}

func at(p queue.Position, hop int) func(*message) {
	return func(m *message) {
		m.at, m.hop = p, hop
		m.role, _, _ = testNames.Role(p.Topic)
	}
}

func replay(id string) func(*message) { return func(m *message) { m.replayID = id } }

func rowIs(s queue.State, hop int, at queue.Position) func(*queue.Row) {
	return func(r *queue.Row) { r.State, r.Hop, r.At = s, hop, at }
}

func stored(s order.Status) *queue.StoredOrder { return &queue.StoredOrder{Status: s} }

func TestDecideFollowsTheElevenRules(t *testing.T) {
	t.Parallel()
	fail := func(c queue.Class, tries int) func(*message) {
		return func(m *message) { m.failure, m.tries = &queue.Failure{Class: c, Code: "x", Message: "why"}, tries }
	}
	onWay := func(topic string) queue.Position { return pos(topic, -1) }
	tests := []struct {
		name    string
		m       *message
		rows    []queue.Row // of the message id
		order   []queue.Row // of the order
		stored  *queue.StoredOrder
		policy  func(*policy)
		rule    int
		outcome string
		state   queue.State // of the row written; "": nothing is written
		hop     int
		to      string // topic of the copy; "": no copy
		class   queue.Class
	}{
		{name: "first seen, no order yet", m: theMessage(), rule: 11, outcome: "applied", state: queue.StateDone},
		{name: "the next step of its order", m: theMessage(), stored: stored(order.Created), rule: 11, outcome: "applied", state: queue.StateDone},
		{name: "the order is further already", m: theMessage(), stored: stored(order.Shipped), rule: 11, outcome: "stale", state: queue.StateDone},
		{
			name: "no such transition", m: theMessage(func(m *message) { m.order.Status = order.Shipped }), stored: stored(order.Cancelled), rule: 11, outcome: "dead",
			state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassIllegal,
		},

		{name: "done: a duplicate", m: theMessage(), rows: []queue.Row{theRow(rowIs(queue.StateDone, 0, pos("orders", 10)))}, rule: 1, outcome: "duplicate"},
		{
			name: "done: also a replay is a duplicate", m: theMessage(at(pos(rpl, 1), 2), replay("r")),
			rows: []queue.Row{theRow(rowIs(queue.StateDone, 1, pos(tier1, 4)))}, rule: 1, outcome: "duplicate",
		},
		{name: "the live copy runs", m: theMessage(at(pos(tier1, 4), 1)), rows: []queue.Row{theRow()}, rule: 11, outcome: "applied", state: queue.StateDone, hop: 1},
		{
			name: "the live copy, whatever its hop header says", m: theMessage(at(pos(tier1, 4), 9)), rows: []queue.Row{theRow()},
			rule: 11, outcome: "applied", state: queue.StateDone, hop: 1,
		},
		{
			name: "the copy that was on its way runs", m: theMessage(at(pos(tier1, 7), 1)), rows: []queue.Row{theRow(rowIs(queue.StateRetry, 1, onWay(tier1)))},
			rule: 11, outcome: "applied", state: queue.StateDone, hop: 1,
		},
		{
			name: "on its way, but of another replay: stale", m: theMessage(at(pos(tier1, 7), 1), replay("r")),
			rows: []queue.Row{theRow(rowIs(queue.StateRetry, 1, onWay(tier1)))}, rule: 6, outcome: "stale_copy",
		},
		{name: "a copy at another place is stale", m: theMessage(at(pos(tier1, 5), 1)), rows: []queue.Row{theRow()}, rule: 6, outcome: "stale_copy"},
		{name: "the source record of a message in a tier is stale", m: theMessage(), rows: []queue.Row{theRow()}, rule: 6, outcome: "stale_copy"},
		{
			name: "a replay of a dead letter is accepted", m: theMessage(at(pos(rpl, 1), 5), replay("r")),
			rows: []queue.Row{theRow(rowIs(queue.StateDead, 4, pos(dlq, 0)))}, rule: 11, outcome: "applied", state: queue.StateDone, hop: 5,
		},
		{
			name: "a replay of a discarded letter is accepted", m: theMessage(at(pos(rpl, 1), 5), replay("r")),
			rows: []queue.Row{theRow(rowIs(queue.StateDiscarded, 4, pos(dlq, 0)))}, rule: 11, outcome: "applied", state: queue.StateDone, hop: 5,
		},
		{
			name: "the second copy of that replay is stale", m: theMessage(at(pos(rpl, 2), 5), replay("r")),
			rows: []queue.Row{theRow(rowIs(queue.StateRetry, 5, pos(rpl, 1)))}, rule: 6, outcome: "stale_copy",
		},
		{
			name: "a replay of an older letter is stale", m: theMessage(at(pos(rpl, 2), 3), replay("r")),
			rows: []queue.Row{theRow(rowIs(queue.StateDead, 4, pos(dlq, 0)))}, rule: 6, outcome: "stale_copy",
		},
		{
			name: "the next hop number without a replay id is no replay", m: theMessage(at(pos(rpl, 2), 5)),
			rows: []queue.Row{theRow(rowIs(queue.StateDead, 4, pos(dlq, 0)))}, rule: 6, outcome: "stale_copy",
		},
		{
			name: "a hop that was cut short is made again", m: theMessage(), rows: []queue.Row{theRow(rowIs(queue.StateRetry, 1, onWay(tier1)))},
			rule: 5, outcome: "retried", to: tier1,
		},
		{
			name: "so is that to the dead letters", m: theMessage(), rows: []queue.Row{theRow(rowIs(queue.StateDead, 1, onWay(dlq)))},
			rule: 5, outcome: "dead", to: dlq,
		},
		{
			name: "of another replay it is not", m: theMessage(at(pos(rpl, 2), 5), replay("other")),
			rows: []queue.Row{theRow(rowIs(queue.StateDead, 6, onWay(dlq)), func(r *queue.Row) { r.ReplayID = "r" })}, rule: 6, outcome: "stale_copy",
		},
		{
			name: "once its position is written, it is stale", m: theMessage(), rows: []queue.Row{theRow(rowIs(queue.StateDead, 1, pos(dlq, 0)))},
			rule: 6, outcome: "stale_copy",
		},

		{
			name: "an invalid order is dead at once", m: theMessage(func(m *message) { m.bad = &queue.Failure{Class: queue.ClassInvalid, Code: "#/items/0/quantity"} }),
			rule: 7, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassInvalid,
		},
		{
			name: "a copy that does not say where it comes from is dead", m: theMessage(at(pos(tier1, 0), 1), func(m *message) { m.src.Offset = -1 }),
			rule: 7, outcome: "dead", state: queue.StateDead, hop: 2, to: dlq, class: queue.ClassInvalid,
		},
		{
			name: "unless its row knows", m: theMessage(at(pos(tier1, 4), 1), func(m *message) { m.src.Offset = -1 }), rows: []queue.Row{theRow()},
			rule: 11, outcome: "applied", state: queue.StateDone, hop: 1,
		},
		{
			name: "the message id is done with another content", m: theMessage(),
			rows: []queue.Row{theRow(rowIs(queue.StateDone, 0, pos("orders", 3)), func(r *queue.Row) { r.Fingerprint = "g" })},
			rule: 8, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassConflict,
		},
		{
			name: "another content that is not done does not matter", m: theMessage(),
			rows: []queue.Row{theRow(func(r *queue.Row) { r.Fingerprint = "g" })}, rule: 11, outcome: "applied", state: queue.StateDone,
		},

		{
			name: "behind a dead one, hold", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateDead, pos(dlq, 0))}, policy: func(p *policy) { p.hold = true },
			rule: 9, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassBlocked,
		},
		{
			name: "behind a dead one, continue", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateDead, pos(dlq, 0))},
			rule: 11, outcome: "applied", state: queue.StateDone,
		},
		{
			name: "behind a discarded one, hold", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateDiscarded, pos(dlq, 0))}, policy: func(p *policy) { p.hold = true },
			rule: 11, outcome: "applied", state: queue.StateDone,
		},
		{
			name: "behind one that waits: park", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateRetry, pos(tier1, 0))},
			rule: 10, outcome: "parked", state: queue.StateParked, hop: 1, to: tier1,
		},
		{
			name: "park in the tier of the one in front", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateParked, pos(tier2, 0))},
			rule: 10, outcome: "parked", state: queue.StateParked, hop: 1, to: tier2,
		},
		{
			name: "in the first one while that is on its way", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateRetry, onWay(tier2))},
			rule: 10, outcome: "parked", state: queue.StateParked, hop: 1, to: tier1,
		},
		{
			name: "in the first one while that is in the replay topic", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateRetry, pos(rpl, 0))},
			rule: 10, outcome: "parked", state: queue.StateParked, hop: 1, to: tier1,
		},
		{
			name: "a tier that has left the configuration is not written", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateRetry, pos("orders.g.retry.9m", 0))},
			rule: 10, outcome: "parked", state: queue.StateParked, hop: 1, to: tier1,
		},
		{
			name: "in front of one that waits: run", m: theMessage(), order: []queue.Row{neighbour(11, queue.StateRetry, pos(tier1, 0))},
			rule: 11, outcome: "applied", state: queue.StateDone,
		},
		{
			name: "one of another partition is not in front", m: theMessage(),
			order: []queue.Row{func() queue.Row { r := neighbour(9, queue.StateRetry, pos(tier1, 0)); r.Src.Partition = 1; return r }()},
			rule:  11, outcome: "applied", state: queue.StateDone,
		},
		{
			name: "its seq is that of its row, not of a duplicate further down", m: theMessage(at(pos("orders", 20), 0), func(m *message) { m.src = m.at }),
			rows:  []queue.Row{theRow(rowIs(queue.StateRetry, 0, pos("orders", 20)))},
			order: []queue.Row{neighbour(15, queue.StateRetry, pos(tier1, 0))}, rule: 11, outcome: "applied", state: queue.StateDone,
		},
		{
			name: "order none: nothing waits", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateRetry, pos(tier1, 0))},
			policy: func(p *policy) { p.ordering = Unordered }, rule: 11, outcome: "applied", state: queue.StateDone,
		},
		{
			name: "no tier to park in: it follows as blocked", m: theMessage(), order: []queue.Row{neighbour(9, queue.StateRetry, pos(tier1, 0))},
			policy: func(p *policy) { p.names.Tiers = nil }, rule: 10, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassBlocked,
		},

		{
			name: "local attempts used: the first tier", m: theMessage(fail(queue.ClassRetryable, 3)),
			rule: 11, outcome: "retried", state: queue.StateRetry, hop: 1, to: tier1, class: queue.ClassRetryable,
		},
		{
			name: "failed in the first tier: the second", m: theMessage(at(pos(tier1, 4), 1), fail(queue.ClassTimeout, 1)), rows: []queue.Row{theRow()},
			rule: 11, outcome: "retried", state: queue.StateRetry, hop: 2, to: tier2, class: queue.ClassTimeout,
		},
		{
			name: "failed in the last tier: dead", m: theMessage(at(pos(tier2, 4), 2), fail(queue.ClassRetryable, 1)),
			rows: []queue.Row{theRow(rowIs(queue.StateRetry, 2, pos(tier2, 4)), func(r *queue.Row) { r.Attempts = 4 })},
			rule: 11, outcome: "dead", state: queue.StateDead, hop: 3, to: dlq, class: queue.ClassExhausted,
		},
		{
			name: "no tiers: dead after the local attempts", m: theMessage(fail(queue.ClassRetryable, 3)), policy: func(p *policy) { p.names.Tiers = nil },
			rule: 11, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassExhausted,
		},
		{
			name: "order partition: no tiers", m: theMessage(fail(queue.ClassRetryable, 5)), policy: func(p *policy) { p.ordering = ByPartition },
			rule: 11, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassExhausted,
		},
		{
			name: "a permanent failure is dead at once", m: theMessage(fail(queue.ClassFatal, 1)),
			rule: 11, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassFatal,
		},
		{
			name: "given up, but somebody else has done it", m: theMessage(fail(queue.ClassFatal, 1)),
			rows: []queue.Row{theRow(rowIs(queue.StateDone, 0, pos("orders", 10)))}, rule: 1, outcome: "duplicate",
		},
		{
			name: "given up, but it must wait now", m: theMessage(fail(queue.ClassRetryable, 3)), order: []queue.Row{neighbour(9, queue.StateRetry, pos(tier1, 0))},
			rule: 10, outcome: "parked", state: queue.StateParked, hop: 1, to: tier1,
		},

		{
			name: "too old", m: theMessage(func(m *message) { m.entered = noon.Add(-time.Hour) }), policy: func(p *policy) { p.maxAge = time.Minute },
			rule: 11, outcome: "dead", state: queue.StateDead, hop: 1, to: dlq, class: queue.ClassExpired,
		},
		{
			name: "a replay is never too old", m: theMessage(at(pos(rpl, 1), 5), replay("r"), func(m *message) { m.entered = noon.Add(-time.Hour) }),
			rows:   []queue.Row{theRow(rowIs(queue.StateDead, 4, pos(dlq, 0)))},
			policy: func(p *policy) { p.maxAge = time.Minute }, rule: 11, outcome: "applied", state: queue.StateDone, hop: 5,
		},
		{name: "a handler without effect", m: theMessage(), policy: func(p *policy) { p.effect = false }, rule: 11, outcome: "skipped", state: queue.StateDone},
		{
			name: "an order of a load test", m: theMessage(func(m *message) { m.loadTest = true }), policy: func(p *policy) { p.skipLoad = true },
			rule: 11, outcome: "skipped", state: queue.StateDone,
		},
		{
			name: "an order of a load test that shall be applied", m: theMessage(func(m *message) { m.loadTest = true }),
			rule: 11, outcome: "applied", state: queue.StateDone,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := testPolicy()
			if tt.policy != nil {
				tt.policy(&p)
			}
			v := p.decide(tt.m, queue.Seen{Message: tt.rows, Order: tt.order, Stored: tt.stored}, noon)
			if v.rule != tt.rule || v.outcome != tt.outcome {
				t.Errorf("rule %d %s, want rule %d %s", v.rule, v.outcome, tt.rule, tt.outcome)
			}
			checkWrites(t, v, tt.rows, tt.state, tt.hop)
			to, class := "", queue.Class("")
			if v.hop != nil {
				to, class = v.hop.At.Topic, v.hop.Failure.Class
			}
			if to != tt.to || class != tt.class {
				t.Errorf("hop to %q class %q, want %q %q", to, class, tt.to, tt.class)
			}
		})
	}
}

// checkWrites: what is written compares with what was read, and a row that leaves has no position yet.
func checkWrites(t *testing.T, v verdict, rows []queue.Row, want queue.State, hop int) {
	t.Helper()
	if want == "" {
		if len(v.change.Writes) > 0 || v.change.Effect != nil {
			t.Errorf("writes %+v, want nothing", v.change)
		}
		return
	}
	if len(v.change.Writes) != 1 {
		t.Fatalf("%d writes, want 1", len(v.change.Writes))
	}
	w := v.change.Writes[0]
	if w.Row.State != want || w.Row.Hop != hop {
		t.Errorf("row %s hop %d, want %s hop %d", w.Row.State, w.Row.Hop, want, hop)
	}
	was := content(rows, w.Row.RowKey)
	if (was != nil) != (w.Kind == queue.Update) || was != nil && w.Was != *was {
		t.Errorf("write %+v does not compare with %+v", w, was)
	}
	if v.hop != nil && (w.Row.At.Offset >= 0 || w.Row.At.Partition != 2 || *v.hop != w.Row) {
		t.Errorf("row of a hop at %v: the position must be unknown, the partition kept", w.Row.At)
	}
	if (v.change.Effect != nil) != (v.outcome == "applied") {
		t.Errorf("effect %v with outcome %s", v.change.Effect, v.outcome)
	}
}

func TestDoneEndsDeadMessagesOfTheSameID(t *testing.T) {
	t.Parallel()
	other := theRow(rowIs(queue.StateDead, 2, pos(dlq, 1)), func(r *queue.Row) { r.Fingerprint = "a" })
	v := testPolicy().decide(theMessage(), queue.Seen{Message: []queue.Row{other}}, noon)
	if len(v.change.Writes) != 2 {
		t.Fatalf("writes: %+v", v.change.Writes)
	}
	w := v.change.Writes[0] // in the order of keys
	if w.Row.Fingerprint != "a" || w.Row.State != queue.StateDiscarded || w.Row.Outcome != queue.Superseded || w.Was != other || w.Kind != queue.Update {
		t.Errorf("superseded: %+v", w)
	}
	waiting := other
	waiting.State = queue.StateRetry
	if v := testPolicy().decide(theMessage(), queue.Seen{Message: []queue.Row{waiting}}, noon); len(v.change.Writes) != 1 {
		t.Errorf("another content that waits is not superseded: %+v", v.change.Writes)
	}
}

func TestAnAcceptedReplayBeginsAnew(t *testing.T) {
	t.Parallel()
	row := theRow(rowIs(queue.StateDead, 4, pos(dlq, 0)), func(r *queue.Row) {
		r.Attempts, r.ReplayID, r.Failure, r.BlockedBy, r.Starts = 6, "old", queue.Failure{Class: queue.ClassExhausted}, "x", 2
	})
	m := theMessage(at(pos(rpl, 1), 5), replay("r"), func(m *message) { m.failure, m.tries = &queue.Failure{Class: queue.ClassRetryable}, 3 })
	v := testPolicy().decide(m, queue.Seen{Message: []queue.Row{row}}, noon)
	if r := v.hop; r == nil || r.State != queue.StateRetry || r.Hop != 6 || r.Attempts != 3 || r.ReplayID != "r" || r.BlockedBy != "" || r.Starts != 0 {
		t.Errorf("row after the replay failed: %+v", v.hop)
	}
	if v.hop.Src != row.Src {
		t.Errorf("src %v, want that of the row", v.hop.Src)
	}
}

func TestAttemptsAreCountedOverHops(t *testing.T) {
	t.Parallel()
	p := testPolicy()
	row := queue.Row{}
	var topics []string
	m := theMessage()
	for n := 1; n <= 6; n++ {
		m.failure, m.tries = &queue.Failure{Class: queue.ClassRetryable, Code: "x"}, 1
		if n < 3 {
			continue // in place
		}
		seen := queue.Seen{}
		if n == 3 {
			m.tries = 3
		} else {
			row.At.Offset = 0
			m.at, m.hop = row.At, row.Hop
			seen.Message = []queue.Row{row}
		}
		v := p.decide(m, seen, noon)
		row = *v.hop
		topics = append(topics, row.At.Topic)
		if row.Attempts != n || v.used != n {
			t.Errorf("attempt %d: row says %d", n, row.Attempts)
		}
		if row.State == queue.StateDead {
			break
		}
	}
	if len(topics) != 3 || topics[0] != tier1 || topics[1] != tier2 || topics[2] != dlq || row.Failure.Class != queue.ClassExhausted || row.Failure.Code != "x" {
		t.Errorf("went through %v, ended %+v", topics, row.Failure)
	}
}

func TestDiscardAndUndo(t *testing.T) {
	t.Parallel()
	dead := theRow(rowIs(queue.StateDead, 4, pos(dlq, 0)))
	control := func(word string, hop int, offset int64) *message {
		return theMessage(at(pos(rpl, offset), hop), func(m *message) { m.discard = word })
	}
	tests := []struct {
		name string
		m    *message
		row  queue.Row
		want queue.State
	}{
		{"a discard of a dead one", control("true", 4, 7), dead, queue.StateDiscarded},
		{"an undo of a discard", control("undo", 4, 8), theRow(rowIs(queue.StateDiscarded, 4, pos(dlq, 0)), func(r *queue.Row) { r.Control = 7 }), queue.StateDead},
		{"of another hop", control("true", 3, 7), dead, ""},
		{"older than the last one", control("true", 4, 7), theRow(rowIs(queue.StateDead, 4, pos(dlq, 0)), func(r *queue.Row) { r.Control = 8 }), ""},
		{"the same one again", control("true", 4, 7), theRow(rowIs(queue.StateDiscarded, 4, pos(dlq, 0)), func(r *queue.Row) { r.Control = 7 }), ""},
		{"of one that is done", control("true", 1, 7), theRow(rowIs(queue.StateDone, 1, pos(tier1, 4))), ""},
		{"of one that waits", control("true", 1, 7), theRow(), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := testPolicy().decide(tt.m, queue.Seen{Message: []queue.Row{tt.row}}, noon)
			if v.hop != nil || v.change.Effect != nil || v.outcome != "control" {
				t.Errorf("verdict %+v", v)
			}
			if tt.want == "" {
				if len(v.change.Writes) != 0 {
					t.Errorf("writes %+v", v.change.Writes)
				}
				return
			}
			if w := v.change.Writes[0]; w.Kind != queue.Control || w.Row.State != tt.want || w.Row.Control != tt.m.at.Offset || w.Was != tt.row {
				t.Errorf("write %+v", w)
			}
		})
	}
}

func TestTheEffectCarriesTheOrder(t *testing.T) {
	t.Parallel()
	v := testPolicy().decide(theMessage(), queue.Seen{Stored: stored(order.Created)}, noon)
	e := v.change.Effect
	if e == nil || e.Insert || e.MessageID != "A:PAID" || e.Src != pos("orders", 10) || e.TraceID != "t" || e.Value != nil || e.Order.UserID != "u-1" || !e.Order.HasTotal {
		t.Errorf("effect %+v", e)
	}
	if v := testPolicy().decide(theMessage(), queue.Seen{}, noon); !v.change.Effect.Insert {
		t.Error("without an order row the effect must find none")
	}
}

func BenchmarkDecide(b *testing.B) {
	p, m := testPolicy(), theMessage()
	seen := queue.Seen{Stored: stored(order.Created)}
	b.ReportAllocs()
	for b.Loop() {
		if v := p.decide(m, seen, noon); v.rule != 11 {
			b.Fatal(v.rule)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	rec := queue.Record{Topic: "orders", Value: SampleOrder("A", order.Created).AppendJSON(nil), Headers: hs(queue.HeaderID, "A:CREATED"), Time: noon}
	r := reader{names: testNames, unknown: order.KeepUnknown}
	b.ReportAllocs()
	for b.Loop() {
		if m := r.read(rec, noon); m.bad != nil {
			b.Fatal(m.bad)
		}
	}
}
